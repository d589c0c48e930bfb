// The clock on the wall: Arm PrimeCell Real Time Clock (PL031), Arm DDI 0224.
//
// A counter of seconds, as an offset to the host's wall clock: a guest that loads another time keeps the difference,
// also over a snapshot. The alarm compares the counter with a match register. Nothing runs while nobody listens: the
// raw interrupt is worked out when it is read, and a timer is only asked for while the interrupt is let through.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/mmio/device.hpp"
#include "vmm/mmio/primecell.hpp"

namespace vmm {

/// What time it is, for people. Thread: any.
class WallClock {
 public:
  virtual ~WallClock() = default;
  /// Since 1970-01-01 00:00:00 UTC. May jump in either direction.
  [[nodiscard]] virtual std::chrono::nanoseconds now() const = 0;
};

/// The host's CLOCK_REALTIME.
class HostWallClock final : public WallClock {
 public:
  [[nodiscard]] std::chrono::nanoseconds now() const override;
};

/// The registers. Copied as it is into a snapshot, in host byte order.
struct Pl031State {
  std::int64_t due = 0;      ///< seconds by the wall clock at which the counter next equals the match register
  std::uint32_t offset = 0;  ///< seconds, modulo 2^32: data register - wall clock
  std::uint32_t load = 0;
  std::uint32_t match = 0;
  std::uint16_t imsc = 0;  ///< 0 or 1, as ris
  std::uint16_t ris = 0;
};
static_assert(std::has_unique_object_representations_v<Pl031State>, "padding would leak into a snapshot");

/// Thread: any. The interrupt line is level-triggered, and set with a lock held: it must not call back.
class Pl031 final : public mmio::Device {
 public:
  static constexpr std::uint64_t kWindowBytes = mmio::kPrimeCellWindowBytes;

  /// @param line, clock   outlive the device
  /// @param alarm_changed the answer of until_alarm() may be another than before; from a virtual CPU's thread. May be
  ///                      empty if nobody waits for the alarm
  Pl031(mmio::InterruptLine& line, const WallClock& clock, std::function<void()> alarm_changed);

  /// Registers are 32 bits wide, four bytes apart, and accessed at their start; a narrower write writes zeros above.
  std::uint64_t read(std::uint64_t offset, unsigned size_bytes) override;
  void write(std::uint64_t offset, unsigned size_bytes, std::uint64_t value) override;

  /// How long until the alarm would raise the interrupt by the present wall clock; nothing while it is masked or
  /// raised.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> until_alarm() const;
  /// Raises the interrupt if the alarm is due.
  void evaluate();

  [[nodiscard]] Pl031State save() const;
  /// Takes a saved state over. An alarm that came while there was no machine is raised now.
  /// @return an error that names the field if no PL031 can be in that state; nothing has changed then
  Result<> restore(const Pl031State& state);

 private:
  // With mutex_ held.
  [[nodiscard]] std::uint32_t counter(std::int64_t now_s) const;
  void set_alarm(std::int64_t now_s);
  void check_alarm(std::int64_t now_s);
  void update_interrupt();

  mmio::InterruptLine& line_;
  const WallClock& clock_;
  const std::function<void()> alarm_changed_;

  mutable std::mutex mutex_;  ///< guards everything below
  Pl031State state_;
  bool asserted_ = false;  ///< level of line_
};

/// Waits for a PL031's alarm on an event loop.
/// Thread: the loop's, or while it does not run; changed() from any.
class Pl031Alarm {
 public:
  /// `loop` and `rtc` outlive it. Give [&alarm] { alarm.changed(); } to the device as its alarm_changed.
  Pl031Alarm(EventLoop& loop, Pl031& rtc);
  ~Pl031Alarm();
  Pl031Alarm(const Pl031Alarm&) = delete;
  Pl031Alarm& operator=(const Pl031Alarm&) = delete;

  /// Posts arm().
  void changed();
  /// Waits for the alarm as it is now; for after restore().
  void arm();

 private:
  EventLoop& loop_;
  Pl031& rtc_;
  EventLoop::TimerId timer_ = 0;
  /// Posted work may outlive this object by a round; it looks here first. Loop's thread.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace vmm
