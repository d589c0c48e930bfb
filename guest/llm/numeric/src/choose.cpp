#include "guest/llm/numeric/choose.hpp"

#include <algorithm>
#include <cstring>

#include "npu/kernels/real.hpp"

namespace guest::llm::numeric {
namespace {

/// Higher logits first, of equal ones the lower token. Not exported, and so nothing of the library that is made with
/// it.
struct IsBefore {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  }
};

/// Those that may be chosen and have a logit that is a number, in the order of their tokens, at the beginning of
/// `candidates`; how many.
std::size_t collect(std::span<const std::byte> logits, const Rules& rules, std::span<const std::uint32_t> recent,
                    std::span<Candidate> candidates, std::span<const std::uint64_t> allowed) {
  const std::size_t count = candidates.size();
  for (std::size_t i = 0; i < count; ++i) {
    float logit;
    std::memcpy(&logit, logits.data() + i * sizeof(logit), sizeof(logit));
    candidates[i] = {
        .logit = static_cast<double>(logit), .token = static_cast<std::uint32_t>(i), .is_penalised = false};
  }
  const double penalty = rules.repetition_penalty_milli / 1000.0;
  for (const std::uint32_t token : recent) {
    if (token < count && !candidates[token].is_penalised) {
      Candidate& candidate = candidates[token];
      candidate.is_penalised = true;
      candidate.logit = candidate.logit > 0 ? candidate.logit / penalty : candidate.logit * penalty;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool may = allowed.empty() || (allowed[i / 64] >> (i % 64) & 1) != 0;
    if (may && candidates[i].logit > -npu::kInfinity) {  // NaN is not either
      candidates[kept++] = candidates[i];
    }
  }
  return kept;
}

/// The weights of all, relative to the first one's, one after the other: `visit(index, sum of them so far)` until it
/// says that it is enough. Returns the last sum.
template <typename Visit>
double add_weights(std::span<const Candidate> candidates, double temperature, Visit visit) {
  double sum = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    sum += npu::exponential((candidates[i].logit - candidates[0].logit) / temperature);
    if (visit(i, sum)) {
      break;
    }
  }
  return sum;
}

constexpr auto kAll = [](std::size_t, double) { return false; };

/// The first ones whose weights make `milli` thousandths of all.
std::span<const Candidate> keep_top_p(std::span<const Candidate> candidates, std::uint32_t milli) {
  if (milli == 1000) {
    return candidates;
  }
  const double wanted = add_weights(candidates, 1, kAll) * (milli / 1000.0);
  std::size_t kept = candidates.size();
  add_weights(candidates, 1, [&](std::size_t i, double sum) {
    kept = i + 1;
    return sum >= wanted;
  });
  return candidates.first(kept);
}

}  // namespace

std::optional<std::uint32_t> choose(std::span<const std::byte> logits, const Rules& rules,
                                    std::span<const std::uint32_t> recent, std::span<Candidate> candidates,
                                    std::uint64_t draw, std::span<const std::uint64_t> allowed) {
  const std::size_t count = collect(logits, rules, recent, candidates, allowed);
  if (count == 0) {
    return std::nullopt;
  }
  Candidate* const begin = candidates.data();
  Candidate* end = begin + count;
  const Candidate best = *std::min_element(begin, end, IsBefore());
  if (rules.temperature_milli == 0 || best.logit == npu::kInfinity) {
    return best.token;
  }
  if (rules.min_p_milli != 0) {
    const double least = best.logit + npu::logarithm(rules.min_p_milli / 1000.0);
    end = std::remove_if(begin, end, [least](const Candidate& candidate) { return candidate.logit < least; });
  }
  const std::size_t most = rules.top_k == 0 ? count : rules.top_k;
  Candidate* const last = begin + std::min(most, static_cast<std::size_t>(end - begin));
  std::partial_sort(begin, last, end, IsBefore());
  const std::span<const Candidate> kept =
      keep_top_p({begin, static_cast<std::size_t>(last - begin)}, rules.top_p_milli);
  const double temperature = rules.temperature_milli / 1000.0;
  const double wanted = add_weights(kept, temperature, kAll) * (static_cast<double>(draw) * 0x1p-53);
  std::uint32_t chosen = best.token;
  add_weights(kept, temperature, [&](std::size_t i, double sum) {
    chosen = kept[i].token;
    return sum > wanted;
  });
  return chosen;
}

}  // namespace guest::llm::numeric
