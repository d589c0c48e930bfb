// The device's time, so that tests can have their own.
#pragma once

#include <algorithm>
#include <atomic>
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
  /// Shows `now_ns` now, which is not less than what it shows: the time of a saved device goes on.
  virtual void go_on_from(std::uint64_t now_ns) = 0;
};

/// The host's monotonic clock.
class HostClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override {
    // Relaxed: set before there are jobs.
    return since_start_ns() + offset_ns_.load(std::memory_order_relaxed);
  }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, std::uint64_t until_ns) override {
    if (until_ns == kNever) return changed.wait(lock);
    // A step at a time: the sum of a large number and the zero point could overflow.
    static constexpr std::uint64_t kLongest = 3'600'000'000'000;
    const std::uint64_t now = now_ns();
    if (until_ns > now) changed.wait_for(lock, std::chrono::nanoseconds(std::min(until_ns - now, kLongest)));
  }
  void go_on_from(std::uint64_t now_ns) override {
    offset_ns_.store(now_ns - since_start_ns(), std::memory_order_relaxed);  // as in now_ns()
  }

 private:
  using Host = std::chrono::steady_clock;
  [[nodiscard]] std::uint64_t since_start_ns() const {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(Host::now() - start_).count());
  }
  const Host::time_point start_ = Host::now();
  std::atomic<std::uint64_t> offset_ns_{0};
};

}  // namespace vmm::npu
