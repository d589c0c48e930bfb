// Which token comes next: the only code of the LLM service with FP registers, so for threads only. Callers are built
// without them: nothing here takes or returns a floating-point number.
//
// Results are the same on every machine: IEEE 754 binary64 in a fixed order, e^x and ln as npu/kernels/real.hpp has
// them, no fused multiply-add.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace guest::llm::numeric {

/// How a token is chosen (docs/models.md, Sampling). Numbers with a fraction in thousandths.
struct Rules {
  std::uint32_t temperature_milli = 0;            ///< 0: the best one
  std::uint32_t top_k = 0;                        ///< 0: all
  std::uint32_t top_p_milli = 1000;               ///< 1000: all
  std::uint32_t min_p_milli = 0;                  ///< 0: all
  std::uint32_t repetition_penalty_milli = 1000;  ///< 1000: none
};

/// Memory for choose(): one for each token.
struct Candidate {
  double logit;
  std::uint32_t token;
  bool is_penalised;
};

/// Chooses a token.
/// @param logits      f32, one for each token; any alignment
/// @param recent      tokens that the penalty is for, each of which counts once; those that do not exist do not
/// @param candidates  as many as there are logits; unspecified afterwards
/// @param draw        random, below 2^53
/// @param allowed     a bit for each token, in words of 64, of those that may be chosen; empty: all
/// @return nothing: no logit of a token that may be chosen is a number above -infinity
std::optional<std::uint32_t> choose(std::span<const std::byte> logits, const Rules& rules,
                                    std::span<const std::uint32_t> recent, std::span<Candidate> candidates,
                                    std::uint64_t draw, std::span<const std::uint64_t> allowed = {});

}  // namespace guest::llm::numeric
