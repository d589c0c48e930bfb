#include "guest/kernel/sched/stolen_time.hpp"

namespace guest::sched {

/// More than has elapsed was stolen after the caller had looked at its clock, and is part of what elapses until the
/// next call. Then it is not more any longer, unless the counter lies, or has gone back as that of another machine: one
/// that is wrong twice in a row counts from there on.
Time StolenTime::take(Time elapsed) {
  if (elapsed <= 0) {
    return 0;
  }
  const std::uint64_t count = read(*counter_);
  const std::uint64_t stolen = count - accounted_;
  if (stolen <= static_cast<std::uint64_t>(elapsed)) [[likely]] {
    accounted_ = count;
    deferred_ = false;
    return static_cast<Time>(stolen);
  }
  if (deferred_) {
    accounted_ = count;
  }
  deferred_ = !deferred_;
  return 0;
}

Time StolenTime::pending(Time elapsed) const {
  const std::uint64_t stolen = read(*counter_) - accounted_;
  return elapsed > 0 && stolen <= static_cast<std::uint64_t>(elapsed) ? static_cast<Time>(stolen) : 0;
}

}  // namespace guest::sched
