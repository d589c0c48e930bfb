// The state of one constant bandwidth server and the rules that change it (docs/scheduler.md, "Rules"): no queues, no
// clock.
#pragma once

#include <cstdint>
#include <limits>

namespace guest::sched {

/// Nanoseconds since boot. Signed, as budgets and lateness are.
using Time = std::int64_t;
inline constexpr Time kNever = std::numeric_limits<Time>::max();
/// Later than any deadline: what a task without one hands on to who has what it waits for (CpuScheduler::inherit()).
inline constexpr Time kBestEffort = kNever - 1;

// Exact products of two times; the standard has no type for them.
__extension__ using WideTime = __int128;

constexpr WideTime product(Time a, Time b) { return static_cast<WideTime>(a) * b; }

/// Millionths of a CPU.
using Ppm = std::uint32_t;
inline constexpr Ppm kWholeCpu = 1'000'000;

/// Longest period: far below what the arithmetic could overflow with, far above any use.
inline constexpr Time kMaxPeriod = 1'000'000'000'000;

/// What becomes of a server that is out of budget.
enum class Depletion : std::uint8_t {
  Hard,  ///< it waits for its next period
  Soft,  ///< it goes on with its next period's budget and deadline
};

/// 0 < budget <= deadline <= period <= kMaxPeriod, which Admission checks.
struct ServerParameters {
  Time budget = 0;    ///< Q
  Time period = 0;    ///< P
  Time deadline = 0;  ///< D, after the release
  Depletion depletion = Depletion::Hard;
  bool reclaim = false;  ///< it may have what other servers leave of theirs
};

/// Abeni and Buttazzo, "Integrating Multimedia Applications in Hard Real-Time Systems" (1998), with hard reservations.
class Cbs {
 public:
  explicit constexpr Cbs(const ServerParameters& parameters) : parameters_(parameters), deadline_(-parameters.period) {}

  [[nodiscard]] const ServerParameters& parameters() const { return parameters_; }
  /// c: what is left; 0 or less: out of budget, by so much overrun.
  [[nodiscard]] Time budget() const { return budget_; }
  /// d
  [[nodiscard]] Time deadline() const { return deadline_; }
  [[nodiscard]] bool throttled() const { return throttled_; }
  /// d - D + P
  [[nodiscard]] Time next_period() const { return deadline_ - parameters_.deadline + parameters_.period; }
  /// When a throttled server with work is to be replenished; in the past for a soft one: at once.
  [[nodiscard]] Time replenished_at() const {
    return parameters_.depletion == Depletion::Soft ? std::numeric_limits<Time>::min() : next_period();
  }

  /// d - c * D / Q, rounded up: until then a server without work is active (docs/scheduler.md, "Reclaiming").
  [[nodiscard]] Time inactive_at() const;
  /// How long it can run at that rate until it is out of budget.
  [[nodiscard]] Time lasts_for(Ppm rate) const;

  /// Rules 1 and 2: the server had the CPU for `ran`. True: it is throttled now.
  bool charge(Time ran);
  /// Rule 1 of one that reclaims: it had the CPU for `ran`, of which `rate` is charged. Rule 2 waits for a charge().
  void charge_at(Ppm rate, Time ran);
  /// Rule 3, of a throttled server with work, at or after replenished_at().
  void replenish(Time now);
  /// Rule 4, of a server that had no work. True: it is throttled.
  bool wake_up(Time now) {
    fraction_ = 0;
    if (!throttled_ && now < deadline_ &&
        product(budget_, parameters_.deadline) <= product(deadline_ - now, parameters_.budget)) [[likely]] {
      return false;  // it keeps what it has
    }
    return wake_up_anew(now);
  }

 private:
  bool wake_up_anew(Time now);
  void add_periods();
  void start_after_rest(Time now);

  ServerParameters parameters_;
  Time budget_ = 0;
  Time deadline_;
  std::uint32_t fraction_ = 0;  ///< millionths of a nanosecond that are left beside budget_
  bool throttled_ = false;
};

}  // namespace guest::sched
