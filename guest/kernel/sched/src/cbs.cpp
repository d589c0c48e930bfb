#include "guest/kernel/sched/cbs.hpp"

#include <algorithm>

namespace guest::sched {
namespace {

using Wide = WideTime;

/// Of a positive divisor.
constexpr Wide floor_divide(Wide a, Wide b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

bool Cbs::charge(Time ran) {
  budget_ -= ran;
  throttled_ = budget_ <= 0;
  return throttled_;
}

/// Exact, so that it does not matter how often a server is charged for a time.
void Cbs::charge_at(Ppm rate, Time ran) {
  const Wide left = product(budget_, kWholeCpu) + fraction_ - product(ran, rate);
  budget_ = static_cast<Time>(floor_divide(left, kWholeCpu));
  fraction_ = static_cast<std::uint32_t>(left - product(budget_, kWholeCpu));
}

/// Until less than a nanosecond is left: the first instant at which budget_ is 0.
Time Cbs::lasts_for(Ppm rate) const {
  return budget_ <= 0 ? 0 : static_cast<Time>((product(budget_ - 1, kWholeCpu) + fraction_) / rate + 1);
}

/// Rounded up: an instant is inactive if it is that time or later.
Time Cbs::inactive_at() const {
  const Wide used_up_in = floor_divide(product(budget_, parameters_.deadline), parameters_.budget);
  return static_cast<Time>(std::min<Wide>(deadline_ - used_up_in, kNever));
}

/// while (c <= 0) { d += P; c += Q; } in one step: a machine that was stopped may have overrun by many periods.
void Cbs::add_periods() {
  const Time periods = -budget_ / parameters_.budget + 1;
  deadline_ += periods * parameters_.period;
  budget_ += periods * parameters_.budget;
}

void Cbs::replenish(Time now) {
  fraction_ = 0;
  add_periods();
  // So late that the deadline has passed, as after a pause of the machine: budgets of the past are not made up for.
  if (deadline_ <= now) {
    deadline_ = now + parameters_.deadline;
    budget_ = parameters_.budget;
  }
  throttled_ = false;
}

/// Of a server that is throttled, or whose deadline has passed, or that has more left than its share until then.
bool Cbs::wake_up_anew(Time now) {
  if (throttled_) {
    if (now >= next_period()) {
      start_after_rest(now);
    }
    return throttled_;
  }
  const auto& [budget, period, deadline, depletion, reclaim] = parameters_;
  if (deadline_ <= now) {
    if (now < next_period()) {
      budget_ = std::min<Time>(budget_, 0);
      throttled_ = true;
    } else {
      deadline_ = now + deadline;
      budget_ = budget;
    }
    return throttled_;
  }
  if (deadline == period) {
    deadline_ = now + deadline;
    budget_ = budget;
  } else {
    // The revised wake-up rule: a share of the time that is left, as the density allows.
    budget_ = static_cast<Time>(product(deadline_ - now, budget) / deadline);
    throttled_ = budget_ == 0;
  }
  return throttled_;
}

/// Its next period came while it had no work: an overrun has been repaid at the rate of its bandwidth since.
void Cbs::start_after_rest(Time now) {
  const Wide repaid = product(now - next_period(), parameters_.budget) / parameters_.period;
  budget_ = static_cast<Time>(std::min<Wide>(parameters_.budget, Wide{budget_} + parameters_.budget + repaid));
  deadline_ = now + parameters_.deadline;
  throttled_ = budget_ <= 0;
}

}  // namespace guest::sched
