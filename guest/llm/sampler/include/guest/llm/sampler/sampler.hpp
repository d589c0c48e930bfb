// From logits to tokens (docs/models.md, Sampling). The same tokens on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/kernel/named_error.hpp"
#include "guest/llm/numeric/choose.hpp"
#include "guest/llm/sampler/generator.hpp"

namespace guest::llm {

struct SamplerOptions {
  numeric::Rules rules = {};
  std::uint32_t repetition_window = 64;  ///< how many of the last tokens the penalty is for
  std::uint64_t seed = 0;
};

/// One sequence of tokens. In threads; one at a time.
class Sampler {
 public:
  static constexpr std::uint32_t kMaxTemperatureMilli = 100'000;
  static constexpr std::uint32_t kMaxPenaltyMilli = 10'000;
  static constexpr std::uint32_t kLeastPenaltyMilli = 100;
  static constexpr std::uint32_t kMaxWindow = 256;

  /// Error: sampler-bad-option, which names it, its value and what is allowed.
  static kernel::Outcome check(const SamplerOptions& options);

  /// `options` have been checked.
  explicit Sampler(const SamplerOptions& options) : options_(options), generator_(options.seed) {}

  /// The logits do not matter but for where the best one is: whoever can find that elsewhere need not ask.
  [[nodiscard]] bool is_greedy() const {
    return options_.rules.temperature_milli == 0 && options_.rules.repetition_penalty_milli == 1000;
  }
  /// Chooses a token, which is not seen yet. Draws one number of the generator, whatever the options.
  /// @param logits      f32 of each token
  /// @param candidates  memory, as many as there are logits; unspecified afterwards
  /// @param allowed     a bit for each token, in words of 64, of those that may come; empty: all
  /// @return nothing: no logit of those is a number above -infinity
  std::optional<std::uint32_t> next(std::span<const std::byte> logits, std::span<numeric::Candidate> candidates,
                                    std::span<const std::uint64_t> allowed = {});
  /// A token of the sequence, the prompt's included.
  void see(std::uint32_t token);

 private:
  SamplerOptions options_;
  Generator generator_;
  std::array<std::uint32_t, kMaxWindow> recent_{};  ///< a ring
  std::uint32_t seen_ = 0;                          ///< at most repetition_window
  std::uint32_t oldest_ = 0;                        ///< where the next one goes once the ring is full
};

}  // namespace guest::llm
