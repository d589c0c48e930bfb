#include "guest/kernel/sched/admission.hpp"

namespace guest::sched {

// Deadlines are at most periods: the minimum is the deadline.
Ppm density(const ServerParameters& parameters) {
  static_assert(kMaxPeriod < kNever / static_cast<Time>(kWholeCpu) / 2, "the product of the next line fits");
  return static_cast<Ppm>((parameters.budget * static_cast<Time>(kWholeCpu) + parameters.deadline - 1) /
                          parameters.deadline);
}

Verdict check(const ServerParameters& parameters) {
  if (parameters.period <= 0 || parameters.period > kMaxPeriod) {
    return Verdict::BadPeriod;
  }
  if (parameters.deadline > parameters.period) {
    return Verdict::BadDeadline;
  }
  if (parameters.budget <= 0 || parameters.budget > parameters.deadline) {
    return Verdict::BadBudget;
  }
  return Verdict::Admitted;
}

}  // namespace guest::sched
