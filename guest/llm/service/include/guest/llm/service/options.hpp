// What the LLM service may have, as the scenario says (docs/llm.md, Limits).
#pragma once

#include <cstdint>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/llm/service/token_budget.hpp"

namespace guest::llm {

/// Clients that share a budget. Where the limits of all classes together are no more than the service's own, each
/// class has its tokens whatever the others do.
struct ClientClass {
  kernel::FixedText<16> name = {};
  std::uint64_t tokens_per_period = 0;  ///< 0: the service's limit alone
  std::uint32_t in_flight = 0;          ///< of its requests; 0: the service's limit alone
};

struct ServiceOptions {
  static constexpr std::uint32_t kMaxClasses = 8;

  std::uint32_t models = 4;                               ///< 1 to 16
  std::uint32_t requests = 64;                            ///< queued, running and kept; 1 to 256
  std::uint32_t requests_per_owner = 16;                  ///< of them
  std::uint32_t queue = 32;                               ///< of them that wait
  std::uint32_t in_flight = 4;                            ///< of them that run; those that nobody reads do not count
  std::uint32_t stream_chunks = 64;                       ///< of a request that are not read yet; 32 to 4096
  std::uint32_t prompt_bytes = 16'384;                    ///< at most Tokenizer::kMaxTextBytes
  std::uint32_t step_tokens = 32;                         ///< of a prompt in one step; 1 to Step::kMaxTokens
  std::uint32_t sessions = 8;                             ///< 0 to 64
  std::uint64_t session_bytes = std::uint64_t{64} << 20;  ///< of the sequences of all sessions
  std::uint64_t period_ns = 1'000'000'000;                ///< 1 ms to an hour
  std::uint32_t hold_periods = 8;                         ///< TokenBudget::Options
  std::uint64_t tokens_per_period = 0;                    ///< that come out; 0: any number
  std::uint64_t cycles_per_period = 0;                    ///< of the NPU's model; 0: any number
  /// Class 0 is that of callers that belong to no other; without any there is one without limits.
  kernel::BoundedArray<ClientClass, kMaxClasses> classes = {};
};

/// Error: llm-bad-option, which names it, its value and what is allowed.
kernel::Outcome check(const ServiceOptions& options);

}  // namespace guest::llm
