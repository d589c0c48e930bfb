#include "guest/security/audit_queue.hpp"

#include <utility>

namespace guest::security {

void AuditQueue::put(const abi::audit::Record& record) {
  {
    const kernel::SpinGuard guard(lock_);
    if (count_ == kCapacity) {
      if (lost_.count == 0) {
        lost_.first_ns = record.time_ns;
      }
      lost_.count += lost_.count == UINT32_MAX ? 0 : 1;
      return;  // what fills the places has raised the item
    }
    places_[(first_ + count_) % kCapacity] = {.record = record, .before = std::exchange(lost_, {})};
    ++count_;
  }
  work_.raise(drain_);
}

/// With no record in `out.record` (event 0) only what was lost behind the last. False: nothing is left.
bool AuditQueue::take(Place& out) {
  const kernel::SpinGuard guard(lock_);
  if (count_ == 0) {
    out = {.record = {}, .before = std::exchange(lost_, {})};
    return out.before.count != 0;
  }
  out = places_[first_];
  first_ = (first_ + 1) % kCapacity;
  --count_;
  return true;
}

bool AuditQueue::add_next() {
  Place place;
  if (!take(place)) {
    return false;
  }
  if (place.before.count != 0) {
    append_lost(place.before);
  }
  if (place.record.event != 0) {
    log_.append(place.record);
  }
  return true;
}

bool AuditQueue::is_crowded() const {
  const kernel::SpinGuard guard(lock_);
  return count_ > kCrowded;
}

void AuditQueue::drain() {
  for (unsigned i = 0; i < kRecordsPerTurn; ++i) {
    if (!add_next()) {
      return;
    }
  }
  work_.raise(drain_);
}

/// Others go on and may put more: no more than has been there is waited for.
void AuditQueue::on_power_off() {
  for (std::size_t i = 0; i <= kCapacity && add_next(); ++i) {
  }
}

void AuditQueue::append_lost(const Lost& lost) {
  abi::audit::Record record = {};
  record.time_ns = lost.first_ns;
  record.event = static_cast<std::uint8_t>(Event::RecordsLost);
  record.caller = static_cast<std::uint8_t>(abi::audit::CallerKind::Kernel);
  record.subject = lost.count;
  log_.append(record);
}

}  // namespace guest::security
