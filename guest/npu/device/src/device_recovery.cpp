// What is done about a device that is silent, or talks nonsense.
#include "guest/kernel/format.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/npu/device/device_accelerator.hpp"
#include "guest/npu/metrics.hpp"

namespace guest::npu {

using kernel::Outcome;
using kernel::Status;

DeviceAccelerator::DeviceAccelerator(drivers::VirtioTransport& transport, drivers::DmaMemory& dma,
                                     kernel::DirectMap map, const Patience& patience)
    : transport_(transport), map_(map), patience_(patience), queues_(transport, dma) {
  info_.name = "device";
}

Outcome DeviceAccelerator::start() {
  const threads::MutexGuard guard(mutex_);
  if (const Status done = queues_.start(); done != Status::Ok) {
    (void)queues_.stop();
    set_state(State::Failed);
    return kernel::fail("npu-failed", "its queues cannot be set up: {}", done);
  }
  service();  // asks for interrupts
  const Answer answer = query();
  if (answer == Answer::Good && stream_version_ == abi::npu::kStreamVersion) {
    most_places_ = std::min({kMaxJobs, info_.max_jobs, queues_.job_room()});
    go_live();
    return {};
  }
  (void)queues_.stop();
  set_state(State::Failed);
  if (answer == Answer::Good) {
    return kernel::fail("npu-failed", "it takes streams of version {}, {} is needed", stream_version_,
                        abi::npu::kStreamVersion);
  }
  return kernel::fail("npu-failed", "{}", answer == Answer::Silence ? "it does not answer" : "it answers nonsense");
}

/// With lock_, in any context: the device is not asked or listened to any more, and whoever waits for it is woken.
void DeviceAccelerator::nonsense(const char* what) {
  if (broken_ == nullptr) {
    broken_ = what;
    threads::Waking waking;
    (void)requester_.signal_first(waking);
    watcher_.signal();
  }
}

/// The device touches no memory any more, and no job is in flight.
void DeviceAccelerator::take_down() {
  set_state(State::Down);
  if (queues_.stop() != Status::Ok) {
    kernel::log_error("npu: the device does not confirm its reset");
  }
  end_all_jobs();
}

void DeviceAccelerator::give_up() {
  const char* what = nullptr;
  {
    const kernel::SpinGuard guard(lock_);
    if (state_ == State::Failed) {
      return;
    }
    what = broken_;
  }
  take_down();
  if (what != nullptr) {
    kernel::log_error("npu: nonsense from the device: {}", what);
  }
  kernel::log_error(
      "npu: the device has failed and is left alone; jobs end with npu-failed, the CPU does not run them");
  set_state(State::Failed);
  wake_all();
}

/// The device did not answer, or wants it: resets it by its status register.
void DeviceAccelerator::recover(std::string_view why) {
  {
    const kernel::SpinGuard guard(lock_);
    if (state_ == State::Failed) {
      return;
    }
    failures_ = ended_well_ != well_at_failure_ ? 0 : failures_;
    well_at_failure_ = ended_well_;
  }
  kernel::log_error("npu: {}; the device is reset, its jobs end", why);
  while (++failures_ <= kMaxFailures) {
    metrics().resets.add();
    take_down();
    switch (bring_up()) {
      case Answer::Good:
        go_live();
        return;
      case Answer::Nonsense:
        give_up();
        return;
      case Answer::Silence:
        break;
    }
  }
  kernel::log_error("npu: {} resets in a row were in vain", kMaxFailures);
  give_up();
}

DeviceAccelerator::Answer DeviceAccelerator::bring_up() {
  if (queues_.start() != Status::Ok) {
    return Answer::Silence;
  }
  power_ = abi::npu::Power::On;
  stall_.reset();
  set_state(State::Starting);
  service();  // asks for interrupts
  const Answer answer = query();
  return answer == Answer::Good ? register_all() : answer;
}

void DeviceAccelerator::go_live() {
  set_state(State::Live);
  wake_all();
}

/// Whoever waits looks at the state anew.
void DeviceAccelerator::wake_all() {
  threads::Waking waking;
  const kernel::MaskedSpinGuard guard(lock_);
  accounts_.for_each([&](Account& account) {
    while (account.waiters.signal_first(waking)) {
    }
  });
  while (flushers_.signal_first(waking)) {
  }
}

}  // namespace guest::npu
