// Random workloads, the same for a seed on every platform: all numbers are drawn as integers from std::mt19937_64,
// whose output the standard fixes. Distributions of the library and functions such as pow differ between platforms.
#pragma once

#include "workload.hpp"

namespace guest::sched::testing {

inline constexpr std::int64_t kWhole = 1'000'000;        ///< ppm
inline constexpr std::int64_t kLeastDensity = 10'000;    ///< ppm; a server's budget is then at least 1 us
inline constexpr std::int64_t kLeastPeriod = 1'000'000;  ///< ns
inline constexpr std::int64_t kMostPeriod = 100'000'000;

enum class Behaviour : std::uint8_t {
  kPeriodic,  ///< honest: demands of at most Q, exactly P apart
  kSporadic,  ///< honest: demands of at most Q, P or more apart
  kWild,      ///< demands of up to 4 * Q, any distance, bursts, rests
  kGreedy,    ///< always has work
};

struct ServerKind {
  Behaviour behaviour;
  bool soft = false;
  bool reclaim = false;
  friend bool operator==(const ServerKind&, const ServerKind&) = default;
};

struct Mix {
  std::vector<ServerKind> servers;
  std::int64_t density_ppm = kWhole;  ///< at least kLeastDensity for each server; more than kWhole is an overload
  bool constrained = false;           ///< deadlines from P/10 to P; else all are P
  bool odd_nanoseconds = false;       ///< else all times are whole microseconds
  std::int64_t bound_ppm = kWhole;    ///< of the CPU
};

/// A set of servers whose density (below) is at most mix.density_ppm, their jobs, and a horizon of about 100 periods,
/// each server's counted.
[[nodiscard]] Workload random_workload(std::uint64_t seed, const Mix& mix);

/// One to eight servers of all kinds and a density of 30 % to 100 %; in half of the mixes some reclaim.
[[nodiscard]] Mix random_mix(std::uint64_t seed);

/// `workload` with another server, the last one, that always has work.
[[nodiscard]] Workload with_greedy(Workload workload, const ServerSpec& spec);

/// The sum of Q / min(D, P), rounded up for each server. At most kWhole: all promises can be kept.
[[nodiscard]] std::int64_t density_ppm(const std::vector<ServerSpec>& servers);

}  // namespace guest::sched::testing
