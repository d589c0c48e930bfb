#include "guest/llm/sampler/sampler.hpp"

#include "guest/kernel/panic.hpp"

namespace guest::llm {

kernel::Outcome Sampler::check(const SamplerOptions& options) {
  struct Limit {
    std::string_view name;
    std::uint32_t value;
    std::uint32_t least;
    std::uint32_t most;
  };
  const numeric::Rules& rules = options.rules;
  const Limit limits[] = {
      {"temperature_milli", rules.temperature_milli, 0, kMaxTemperatureMilli},
      {"top_p_milli", rules.top_p_milli, 1, 1000},
      {"min_p_milli", rules.min_p_milli, 0, 1000},
      {"repetition_penalty_milli", rules.repetition_penalty_milli, kLeastPenaltyMilli, kMaxPenaltyMilli},
      {"repetition_window", options.repetition_window, 0, kMaxWindow},
  };
  for (const Limit& limit : limits) {
    if (limit.value < limit.least || limit.value > limit.most) {
      return kernel::fail("sampler-bad-option", "{} is {}, expected {} to {}", limit.name, limit.value, limit.least,
                          limit.most);
    }
  }
  return {};
}

std::optional<std::uint32_t> Sampler::next(std::span<const std::byte> logits, std::span<numeric::Candidate> candidates,
                                           std::span<const std::uint64_t> allowed) {
  kernel::require(logits.size() == candidates.size() * sizeof(float), "a sampler needs memory for each logit");
  kernel::require(allowed.empty() || allowed.size() * 64 >= candidates.size(), "a sampler needs a bit for each logit");
  constexpr unsigned kUnusedBits = 64 - 53;  // a draw has 53 bits
  return numeric::choose(logits, options_.rules, std::span(recent_).first(seen_), candidates,
                         generator_.next() >> kUnusedBits, allowed);
}

void Sampler::see(std::uint32_t token) {
  if (options_.repetition_window == 0) {
    return;
  }
  if (seen_ < options_.repetition_window) {
    recent_[seen_++] = token;
    return;
  }
  recent_[oldest_] = token;
  oldest_ = (oldest_ + 1) % options_.repetition_window;
}

}  // namespace guest::llm
