#include "vmm/devices/pl031/pl031.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace vmm {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

/// Arm DDI 0224, Summary of registers.
enum Register : std::uint32_t {
  DR = 0x00,    // ro, data: the counter
  MR = 0x04,    // rw, match
  LR = 0x08,    // rw, load
  CR = 0x0c,    // rw, control
  IMSC = 0x10,  // rw, interrupt mask: 1 lets through
  RIS = 0x14,   // ro, raw interrupt status
  MIS = 0x18,   // ro, masked interrupt status
  ICR = 0x1c,   // wo, interrupt clear
};

constexpr std::uint32_t kPeripheralId = 0x0004'1031;
constexpr std::uint16_t kInterrupt = 1;
/// Control Register, RTCCR, bit 0: the clock runs. Written once it stays so until the machine's end, and ours runs from
/// the beginning, as QEMU's does: firmware may read the time without starting it.
constexpr std::uint32_t kRunning = 1;

/// Seconds until the counter comes around: 136 years.
constexpr std::int64_t kAround = std::int64_t{1} << 32;

/// The wall clock may be set while we wait; look again after this.
constexpr seconds kLongestWait{60};

std::int64_t seconds_of(nanoseconds time) { return std::chrono::floor<seconds>(time).count(); }

}  // namespace

nanoseconds HostWallClock::now() const { return std::chrono::system_clock::now().time_since_epoch(); }

Pl031::Pl031(mmio::InterruptLine& line, const WallClock& clock, std::function<void()> alarm_changed)
    : line_(line), clock_(clock), alarm_changed_(std::move(alarm_changed)) {
  // The match register is 0 and the counter is not: the alarm lies ahead unless the guest sets it.
  set_alarm(seconds_of(clock_.now()));
}

std::uint32_t Pl031::counter(std::int64_t now_s) const {
  // Modulo 2^32 on purpose: the register has 32 bits.
  return static_cast<std::uint32_t>(now_s & UINT32_MAX) + state_.offset;
}

/// The match register or the counter was set: the alarm is due when they are next equal, which may be now.
void Pl031::set_alarm(std::int64_t now_s) {
  const std::uint32_t ahead = state_.match - counter(now_s);  // modulo 2^32 on purpose
  state_.due = now_s + ahead;
  check_alarm(now_s);
}

void Pl031::check_alarm(std::int64_t now_s) {
  if (now_s < state_.due) return;
  state_.ris = kInterrupt;
  state_.due += ((now_s - state_.due) / kAround + 1) * kAround;
}

void Pl031::update_interrupt() {
  const bool asserted = (state_.ris & state_.imsc) != 0;
  if (asserted == asserted_) return;
  asserted_ = asserted;
  line_.set(asserted);
}

std::uint64_t Pl031::read(std::uint64_t offset, unsigned) {
  if (offset % 4 != 0) return 0;
  if (offset >= mmio::kPrimeCellIds) return mmio::primecell_id(offset, kPeripheralId);
  const std::int64_t now = seconds_of(clock_.now());
  const std::lock_guard lock(mutex_);
  check_alarm(now);
  update_interrupt();
  switch (offset) {
    case DR:
      return counter(now);
    case MR:
      return state_.match;
    case LR:
      return state_.load;
    case CR:
      return kRunning;
    case IMSC:
      return state_.imsc;
    case RIS:
      return state_.ris;
    case MIS:
      return state_.ris & state_.imsc;
    default:
      return 0;  // ICR, the test registers, reserved
  }
}

void Pl031::write(std::uint64_t offset, unsigned, std::uint64_t value) {
  if (offset % 4 != 0) return;
  const std::int64_t now = seconds_of(clock_.now());
  const auto word = static_cast<std::uint32_t>(value);
  bool alarm_matters = false;
  {
    const std::lock_guard lock(mutex_);
    check_alarm(now);
    const std::uint16_t mask_before = state_.imsc;
    switch (offset) {
      case MR:
        state_.match = word;
        set_alarm(now);
        break;
      case LR:
        state_.load = word;
        state_.offset += word - counter(now);
        set_alarm(now);
        break;
      case IMSC:
        state_.imsc = static_cast<std::uint16_t>(word & kInterrupt);
        break;
      case ICR:
        if ((word & kInterrupt) != 0) state_.ris = 0;
        break;
      default:
        break;  // read-only, CR, the test registers, reserved
    }
    update_interrupt();
    alarm_matters = (mask_before | state_.imsc) != 0;
  }
  if (alarm_matters && alarm_changed_) alarm_changed_();
}

std::optional<nanoseconds> Pl031::until_alarm() const {
  const nanoseconds now = clock_.now();
  const std::lock_guard lock(mutex_);
  if (state_.imsc == 0 || state_.ris != 0) return std::nullopt;
  return std::max<nanoseconds>(seconds(state_.due) - now, nanoseconds::zero());
}

void Pl031::evaluate() {
  const std::int64_t now = seconds_of(clock_.now());
  const std::lock_guard lock(mutex_);
  check_alarm(now);
  update_interrupt();
}

Pl031State Pl031::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Result<> Pl031::restore(const Pl031State& state) {
  if (state.imsc > 1) return fail("saved PL031 state: imsc is " + std::to_string(state.imsc));
  if (state.ris > 1) return fail("saved PL031 state: ris is " + std::to_string(state.ris));
  const std::int64_t now = seconds_of(clock_.now());
  const std::lock_guard lock(mutex_);
  state_ = state;
  if (state.due <= now) state_.ris = kInterrupt;
  set_alarm(now);  // not what a file says
  update_interrupt();
  return {};
}

Pl031Alarm::Pl031Alarm(EventLoop& loop, Pl031& rtc) : loop_(loop), rtc_(rtc) {}

Pl031Alarm::~Pl031Alarm() {
  *alive_ = false;
  loop_.cancel_timer(timer_);
}

void Pl031Alarm::changed() {
  loop_.post([this, alive = alive_] {
    if (*alive) arm();
  });
}

void Pl031Alarm::arm() {
  loop_.cancel_timer(std::exchange(timer_, 0));
  const auto wait = rtc_.until_alarm();
  if (!wait) return;
  timer_ = loop_.add_timer(std::min<nanoseconds>(*wait, kLongestWait), [this] {
    timer_ = 0;
    rtc_.evaluate();
    arm();
  });
}

}  // namespace vmm
