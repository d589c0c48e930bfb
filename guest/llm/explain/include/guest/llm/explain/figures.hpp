// What a kernel knows of a moment and sis-explain is asked about (docs/explain.md): figures as they are, with names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"

namespace guest::llm::explain {

inline constexpr std::size_t kMaxOperators = 8;
inline constexpr std::size_t kMaxChannels = 8;
inline constexpr std::size_t kMaxServers = 4;
/// Longer names are cut, and end with "...".
inline constexpr std::size_t kMaxName = 64;

using Name = kernel::FixedText<kMaxName>;

struct Operator {
  Name name;
  std::uint32_t busy_permille = 0;  ///< its processor time, of the time for which its graph ran
  std::uint64_t run_ns = 0;         ///< the mean of an execution
  std::uint64_t max_ns = 0;
  std::uint64_t limit_ns = 0;  ///< its wcet_ns; 0: none was stated
  std::uint64_t over = 0;      ///< executions over the limit
  /// Index of the channel that was full most often of those that it reads; nothing: it reads none, or none that is
  /// here.
  std::optional<std::uint8_t> input = {};
};

struct Channel {
  std::uint32_t id = 0;
  std::uint8_t writer = 0;  ///< indices of operators that are here
  std::uint8_t reader = 0;
  std::uint64_t top = 0;  ///< the most tensors that it held
  std::uint64_t capacity = 0;
  bool drops = false;      ///< what does not fit is lost; else its writer waits
  std::uint64_t hits = 0;  ///< how often that was
};

struct Server {
  Name name;
  std::uint64_t budget_ns = 0;
  std::uint64_t period_ns = 0;
  std::uint64_t jobs = 0;
  std::uint64_t over = 0;  ///< jobs that took more than the budget
  std::uint64_t misses = 0;
  std::uint64_t throttles = 0;
  std::uint64_t worst_ns = 0;  ///< the longest from a job's release to its end
};

/// Of the audit log's records that are kept.
struct Audit {
  std::uint64_t accepted = 0;  ///< hellos
  std::uint64_t refused = 0;
  std::uint64_t links = 0;  ///< connections that had one refused
};

struct Npu {
  std::uint64_t jobs = 0;
  std::uint64_t misses = 0;  ///< jobs that their deadline ended
  std::uint64_t top = 0;     ///< the most in flight at a time
};

struct Llm {
  std::uint64_t asked = 0;
  std::uint64_t refused = 0;
  std::uint64_t misses = 0;
};

/// In a prompt operators are o1 to o8, channels c1 to c8, servers s1 to s4, as they stand here.
struct Figures {
  kernel::BoundedArray<Operator, kMaxOperators> operators;
  kernel::BoundedArray<Channel, kMaxChannels> channels;
  kernel::BoundedArray<Server, kMaxServers> servers;
  Audit audit;
  std::optional<Npu> npu;
  std::optional<Llm> llm;
};

}  // namespace guest::llm::explain
