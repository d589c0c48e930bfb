// The device's time, so that tests can have their own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace vmm::npu {

/// No time at all: wait until something happens.
inline constexpr std::uint64_t kNever = UINT64_MAX;

/// Device time in nanoseconds. Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
  /// Waits at `changed`, whose mutex `lock` holds, until it is notified or the time has come. May return earlier.
  virtual void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, std::uint64_t until_ns) = 0;
};

/// The host's monotonic clock.
class HostClock final : public Clock {
 public:
  /// @param start_ns what it shows now: 0 for a new device
  explicit HostClock(std::uint64_t start_ns = 0) : zero_(Host::now() - std::chrono::nanoseconds(start_ns)) {}

  [[nodiscard]] std::uint64_t now_ns() const override {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(Host::now() - zero_).count());
  }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, std::uint64_t until_ns) override {
    if (until_ns == kNever) return changed.wait(lock);
    // A step at a time: the sum of a large number and the zero point could overflow.
    static constexpr std::uint64_t kLongest = 3'600'000'000'000;
    const std::uint64_t now = now_ns();
    if (until_ns > now) changed.wait_for(lock, std::chrono::nanoseconds(std::min(until_ns - now, kLongest)));
  }

 private:
  using Host = std::chrono::steady_clock;
  const Host::time_point zero_;
};

}  // namespace vmm::npu
