// Records on their way into the audit log, from wherever it is not at hand: any thread, under any lock.
//
//   put(), anywhere --> [512 places] --raise()--> drain(), in the main loop --> AuditLog
//
// What finds no place is counted, and a record that says how many (RecordsLost) stands where they would.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/work.hpp"
#include "guest/security/audit_log.hpp"

namespace guest::security {

/// Made once, before whoever follows the log, so that at the end it hands on the rest before they do.
class AuditQueue final : private AuditLog::Listener {
 public:
  static constexpr std::size_t kCapacity = 512;
  /// With more than so many it is crowded: the rest is for what comes without being asked for.
  static constexpr std::size_t kCrowded = kCapacity - AuditLog::kStillToCome;
  /// Added in one turn of the loop, at some 10,000 instructions each: others have theirs in between.
  static constexpr unsigned kRecordsPerTurn = 16;

  /// Both outlive it; `work` is of the loop that the log belongs to.
  AuditQueue(AuditLog& log, kernel::WorkQueue& work) : log_(log), work_(work) { log.listen(*this); }
  ~AuditQueue() { log_.forget(*this); }
  AuditQueue(const AuditQueue&) = delete;
  AuditQueue& operator=(const AuditQueue&) = delete;

  /// Copies `record`, whose number is not looked at. From any context, on any CPU.
  void put(const abi::audit::Record& record);

 private:
  /// Records for which there was no room, one after the other.
  struct Lost {
    std::uint32_t count = 0;
    std::uint64_t first_ns = 0;  ///< when the first of them happened
  };
  struct Place {
    abi::audit::Record record;
    Lost before;  ///< `record`, and after the one in front of it
  };

  void on_power_off() override;
  [[nodiscard]] bool is_crowded() const override;
  void drain();
  /// Adds what comes next. False: there is nothing.
  bool add_next();
  bool take(Place& out);
  void append_lost(const Lost& lost);

  AuditLog& log_;
  kernel::WorkQueue& work_;
  kernel::WorkItem drain_{[](void* self) { static_cast<AuditQueue*>(self)->drain(); }, this};
  mutable kernel::SpinLock lock_{"audit-queue", kernel::LockRank::AuditQueue};  ///< of all that follows
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  Lost lost_;  ///< after the newest
  std::array<Place, kCapacity> places_{};
};

}  // namespace guest::security
