// Which servers a CPU can promise their budgets to.
#pragma once

#include <cstdint>

#include "guest/kernel/sched/cbs.hpp"

namespace guest::sched {

/// The rest is for best-effort tasks and interrupts.
inline constexpr Ppm kDefaultBound = 850'000;

/// Of valid parameters: Q / min(D, P), rounded up, so that what is admitted is never above the bound.
[[nodiscard]] Ppm density(const ServerParameters& parameters);

enum class [[nodiscard]] Verdict : std::uint8_t {
  Admitted,
  BadBudget,    ///< not 0 < Q <= D
  BadDeadline,  ///< not D <= P
  BadPeriod,    ///< not 0 < P <= kMaxPeriod
  TooMuch,      ///< admitted + density > bound
};

/// An answer with its arithmetic.
struct Admission {
  Verdict verdict;
  Ppm density = 0;   ///< asked for; 0 if the parameters are not valid
  Ppm admitted = 0;  ///< of the servers before this one
  Ppm bound = 0;
};

/// Admitted if they are valid, else what is wrong.
[[nodiscard]] Verdict check(const ServerParameters& parameters);

}  // namespace guest::sched
