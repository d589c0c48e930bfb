#include "guest/llm/service/options.hpp"

#include <string_view>

#include "guest/llm/model/step.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"

namespace guest::llm {
namespace {

struct Range {
  std::string_view name;
  std::uint64_t value;
  std::uint64_t least;
  std::uint64_t most;
};

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kHour = 3'600'000'000'000;
/// So that no sum of as many as there are requests is beyond 2^63.
constexpr std::uint64_t kMaxTokens = std::uint64_t{1} << 48;

}  // namespace

kernel::Outcome check(const ServiceOptions& options) {
  const Range ranges[] = {
      {"models", options.models, 1, 16},
      {"requests", options.requests, 1, 256},
      {"requests-per-owner", options.requests_per_owner, 1, options.requests},
      {"queue", options.queue, 1, options.requests},
      {"in-flight", options.in_flight, 1, options.requests},
      {"stream-chunks", options.stream_chunks, 32, 4096},
      {"prompt-bytes", options.prompt_bytes, 1, Tokenizer::kMaxTextBytes},
      {"step-tokens", options.step_tokens, 1, Step::kMaxTokens},
      {"sessions", options.sessions, 0, 64},
      {"period-ns", options.period_ns, kMillisecond, kHour},
      {"hold-periods", options.hold_periods, 1, TokenBudget::kMaxHold},
      {"tokens-per-period", options.tokens_per_period, 0, kMaxTokens},
  };
  for (const Range& range : ranges) {
    if (range.value < range.least || range.value > range.most) {
      return kernel::fail("llm-bad-option", "{} {}, expected {} to {}", range.name, range.value, range.least,
                          range.most);
    }
  }
  for (const ClientClass& one : options.classes) {
    if (one.tokens_per_period > kMaxTokens) {
      return kernel::fail("llm-bad-option", "tokens-per-period {} of class {}, expected at most {}",
                          one.tokens_per_period, kernel::escaped(one.name.view()), kMaxTokens);
    }
  }
  return {};
}

}  // namespace guest::llm
