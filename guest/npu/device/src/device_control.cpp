// Control requests: one at a time.
#include <cstring>

#include "guest/kernel/format.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/npu/device/device_accelerator.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/refusal.hpp"

namespace guest::npu {
namespace {

using abi::npu::ControlOp;
using abi::npu::ControlReply;
using abi::npu::ControlRequest;
using abi::npu::Power;
using abi::npu::Reason;
using abi::npu::Status;
using kernel::NamedError;
using kernel::Outcome;
using threads::MutexGuard;

ControlRequest make_request(ControlOp op, std::uint32_t argument = 0) {
  ControlRequest request{};
  request.op = static_cast<std::uint32_t>(op);
  request.argument = argument;
  return request;
}

std::uint64_t now_ns() { return threads::dispatcher().timers().clock().now_ns(); }

}  // namespace

NamedError DeviceAccelerator::failure() {
  return kernel::fail("npu-failed", "the device has failed; its jobs and regions are gone").error();
}

void DeviceAccelerator::set_state(State state) {
  const kernel::SpinGuard guard(lock_);
  state_ = state;
}

void DeviceAccelerator::set_state_unless_failed(State state) {
  const kernel::SpinGuard guard(lock_);
  state_ = state_ == State::Failed ? State::Failed : state;
}

// ---- A request and its reply

/// Sends a request and waits for the reply, of which `reply_bytes` are wanted.
DeviceAccelerator::Answer DeviceAccelerator::request(const ControlRequest& request, std::size_t reply_bytes,
                                                     Queues::Reply& reply) {
  bool bell = false;
  {
    const kernel::SpinGuard guard(lock_);
    if (state_ == State::Down || state_ == State::Failed || broken_ != nullptr) {
      return Answer::Nonsense;
    }
    reply_there_ = false;
    if (!queues_.add_control(request, static_cast<std::uint32_t>(reply_bytes))) {
      nonsense("a queue has no room for a request that it must have");
      return Answer::Nonsense;
    }
    bell = queues_.wants_bell(abi::npu::kControlQueue);
  }
  if (bell) {
    queues_.ring_bell(abi::npu::kControlQueue);
  }
  const bool there = await_reply();
  const kernel::SpinGuard guard(lock_);
  if (broken_ != nullptr) {
    return Answer::Nonsense;
  }
  if (!there) {
    return Answer::Silence;
  }
  reply = reply_;
  const auto said = check_reply(std::span(reply.data).first(reply.bytes));
  if (!said || (said->status == Status::Ok && reply.bytes != reply_bytes)) {
    nonsense("a control request's reply");
    return Answer::Nonsense;
  }
  return Answer::Good;
}

bool DeviceAccelerator::await_reply() {
  // The idle thread, which starts the device, cannot wait.
  if (threads::dispatcher().idle()) {
    return poll_for_reply(patience_.reply_looks, true);
  }
  // The second for when the guest's clock jumps over the first.
  if (wait_for_reply(now_ns() + kControlNs) || poll_for_reply(patience_.reply_looks / 2, false)) {
    return true;
  }
  const bool there = poll_for_reply(1, true);
  if (there) {
    metrics().lost_interrupts.add();
    kernel::log_error("npu: an interrupt was lost: the reply to a control request was there without one");
  }
  return there;
}

/// False: it did not come in time, or something else did.
bool DeviceAccelerator::wait_for_reply(std::uint64_t until_ns) {
  for (;;) {
    threads::Waiter waiter;
    {
      const kernel::SpinGuard guard(lock_);
      if (reply_there_ || broken_ != nullptr) {
        return reply_there_;
      }
      requester_.add(waiter);
    }
    if (threads::wait_for_signal(waiter, requester_, lock_, until_ns, false) == threads::WaitResult::TimedOut) {
      return false;
    }
  }
}

/// Does not wait for the interrupt if it may `take` the reply itself.
bool DeviceAccelerator::poll_for_reply(unsigned looks, bool take) {
  for (unsigned i = 0; i < looks; ++i) {
    if (take) {
      service();
    }
    {
      const kernel::SpinGuard guard(lock_);
      if (reply_there_ || broken_ != nullptr) {
        return reply_there_;
      }
    }
    if (transport_.needs_reset()) {
      return false;
    }
  }
  return false;
}

/// A request of a caller of this class: what is refused is told, and silence ends with a reset of the device.
Outcome DeviceAccelerator::ask(const ControlRequest& what_to_do, std::size_t reply_bytes, Queues::Reply& reply,
                               std::string_view what) {
  switch (request(what_to_do, reply_bytes, reply)) {
    case Answer::Good: {
      const auto said = *check_reply(std::span(reply.data).first(reply.bytes));
      return said.status == Status::Ok ? Outcome() : std::unexpected(refused(what, said));
    }
    case Answer::Silence:
      recover("a control request was not answered");
      return kernel::fail("npu-failed", "{} was not answered", what);
    case Answer::Nonsense:
      give_up();
      break;
  }
  return std::unexpected(failure());
}

Outcome DeviceAccelerator::ask(ControlOp op, std::uint32_t argument, std::string_view what) {
  Queues::Reply reply;
  return ask(make_request(op, argument), sizeof(ControlReply), reply, what);
}

// ---- What the device is

DeviceAccelerator::Answer DeviceAccelerator::query() {
  Queues::Reply reply;
  const Answer answer = request(make_request(ControlOp::Query), sizeof(abi::npu::DeviceInfo), reply);
  if (answer != Answer::Good) {
    return answer;
  }
  abi::npu::DeviceInfo info{};
  std::memcpy(&info, reply.data, sizeof(info));
  if (reply.bytes != sizeof(info) || !is_sane(info)) {
    const kernel::SpinGuard guard(lock_);
    nonsense("what it says that it is");
    return Answer::Nonsense;
  }
  device_ns_ = info.device_ns;
  if (info_.max_jobs != 0) {
    return Answer::Good;  // known, and does not change
  }
  info_ = {.name = "device",
           .max_jobs = info.max_jobs,
           .max_commands = info.max_commands,
           .max_regions = info.max_regions,
           .max_job_cycles = info.max_job_cycles,
           .max_command_cycles = info.max_command_cycles,
           .clock_hz = info.clock_hz,
           .bytes_per_cycle = info.bytes_per_cycle,
           .f32_macs_per_cycle = info.f32_macs_per_cycle,
           .i8_macs_per_cycle = info.i8_macs_per_cycle,
           .f32_ops_per_cycle = info.f32_ops_per_cycle,
           .opcodes = info.opcodes};
  model_.clock_hz = info.clock_hz;
  model_.bytes_per_cycle = info.bytes_per_cycle;
  model_.f32_macs_per_cycle = info.f32_macs_per_cycle;
  model_.i8_macs_per_cycle = info.i8_macs_per_cycle;
  model_.f32_ops_per_cycle = info.f32_ops_per_cycle;
  model_.max_command_cycles = info.max_command_cycles;
  limits_ = {.max_commands = info.max_commands, .max_cycles = info.max_job_cycles};
  stream_version_ = info.stream_version;
  return Answer::Good;
}

/// That the device says it has run.
DeviceAccelerator::Answer DeviceAccelerator::count_commands(std::uint64_t& commands) {
  Queues::Reply reply;
  const Answer answer = request(make_request(ControlOp::ReadCounters), sizeof(abi::npu::Counters), reply);
  abi::npu::Counters counters{};
  std::memcpy(&counters, reply.data, sizeof(counters));
  commands = counters.commands;
  return answer;
}

std::expected<abi::npu::Counters, NamedError> DeviceAccelerator::read_counters() {
  const MutexGuard guard(mutex_);
  Queues::Reply reply;
  if (Outcome asked = ask(make_request(ControlOp::ReadCounters), sizeof(abi::npu::Counters), reply, "counters");
      !asked) {
    return std::unexpected(asked.error());
  }
  abi::npu::Counters counters{};
  std::memcpy(&counters, reply.data, sizeof(counters));
  return counters;
}

// ---- Regions

/// Of a place that holds a region.
ControlRequest DeviceAccelerator::registration(std::size_t place) const {
  const ::npu::Region& region = regions_.region_at(place);
  ControlRequest request = make_request(ControlOp::RegisterRegion, region.flags);
  request.address = raw(map_.address(region.base));
  request.bytes = region.bytes;
  return request;
}

std::expected<std::uint32_t, NamedError> DeviceAccelerator::register_region(std::span<std::byte> memory,
                                                                            std::uint32_t flags) {
  const MutexGuard guard(mutex_);
  std::expected<std::uint32_t, Refusal> handle;
  {
    const kernel::SpinGuard table(lock_);
    handle = regions_.add(memory, flags);
  }
  if (!handle) {
    return std::unexpected(refused("a region", handle.error()));
  }
  const std::size_t place = RegionTable::place_of(*handle);
  Queues::Reply reply;
  Outcome asked = ask(registration(place), sizeof(ControlReply), reply, "a region");
  const kernel::SpinGuard table(lock_);
  if (asked) {
    ControlReply said{};
    std::memcpy(&said, reply.data, sizeof(said));
    regions_.set_accelerator_handle(place, static_cast<std::uint32_t>(said.value));
    return *handle;
  }
  if (regions_.accelerator_handle(place) != abi::npu::kNoRegion) {
    return *handle;  // the device was recovered meanwhile, and told of it with the others
  }
  (void)regions_.remove(*handle);  // nobody knows it
  return std::unexpected(asked.error());
}

Outcome DeviceAccelerator::release_region(std::uint32_t handle) {
  const MutexGuard guard(mutex_);
  std::expected<void, Refusal> removed;
  std::uint32_t at_device = abi::npu::kNoRegion;
  {
    const kernel::SpinGuard table(lock_);
    removed = regions_.removable(handle);
    if (removed) {
      at_device = regions_.accelerator_handle(RegionTable::place_of(handle));
      removed = regions_.remove(handle);  // before the device does, so that no job names it any more
    }
  }
  if (!removed) {
    return std::unexpected(refused("the release of a region", removed.error()));
  }
  if (power_ == Power::Off || at_device == abi::npu::kNoRegion) {
    return {};  // it does not know it
  }
  return ask(ControlOp::ReleaseRegion, at_device, "the release of a region");
}

/// Tells a device that has forgotten them. Not while jobs are taken.
DeviceAccelerator::Answer DeviceAccelerator::register_all() {
  Answer answer = Answer::Good;
  regions_.for_each([&](std::size_t place) {
    if (answer != Answer::Good) {
      return;
    }
    Queues::Reply reply;
    answer = request(registration(place), sizeof(ControlReply), reply);
    ControlReply said{};
    std::memcpy(&said, reply.data, sizeof(said));
    if (answer == Answer::Good && said.status != 0) {
      answer = Answer::Silence;  // it took this region before: it is worth another reset
    }
    if (answer == Answer::Good) {
      regions_.set_accelerator_handle(place, static_cast<std::uint32_t>(said.value));
    }
  });
  const kernel::SpinGuard guard(lock_);
  ++epoch_;
  return answer;
}

// ---- Jobs

void DeviceAccelerator::abort(Job& job) {
  std::uint64_t id = 0;
  {
    const kernel::SpinGuard guard(lock_);
    for (Place& place : places_) {
      if (place.job == &job) {
        place.abort = true;
        id = place.expected.id;
      }
    }
  }
  if (id != 0) {
    const MutexGuard guard(mutex_);
    request_abort(id);
  }
}

/// A job that the device does not know has ended, or still waits in its queue: then the watcher asks again.
void DeviceAccelerator::request_abort(std::uint64_t id) {
  ControlRequest what_to_do = make_request(ControlOp::Abort);
  what_to_do.address = id;
  Queues::Reply reply;
  const Outcome asked = ask(what_to_do, sizeof(ControlReply), reply, "an abort");
  const kernel::SpinGuard guard(lock_);
  for (Place& place : places_) {
    if (place.job != nullptr && place.expected.id == id) {
      place.abort = !asked;
      watcher_.signal();
    }
  }
}

// ---- State

DeviceAccelerator::State DeviceAccelerator::state() {
  const kernel::SpinGuard guard(lock_);
  return state_;
}

Outcome DeviceAccelerator::reset() {
  const MutexGuard guard(mutex_);
  set_state_unless_failed(State::Resetting);
  const Outcome asked = ask(ControlOp::Reset, 0, "a reset");
  if (!asked && state() == State::Resetting) {
    go_live();  // it was refused: nothing has changed
    return asked;
  }
  if (asked) {
    power_ = Power::On;
  }
  return come_back();
}

/// After the device forgot its regions, unless it was recovered meanwhile.
Outcome DeviceAccelerator::come_back() {
  if (state() == State::Resetting) {
    switch (register_all()) {
      case Answer::Good:
        go_live();
        break;
      case Answer::Silence:
        recover("a region was not taken again");
        break;
      case Answer::Nonsense:
        give_up();
        break;
    }
  }
  return state() == State::Live ? Outcome() : std::unexpected(failure());
}

Outcome DeviceAccelerator::set_power(Power power) {
  const MutexGuard guard(mutex_);
  const bool forgot = power_ == Power::Off && power != Power::Off;
  if (forgot) {
    set_state_unless_failed(State::Resetting);
  }
  const Outcome asked = ask(ControlOp::SetPower, static_cast<std::uint32_t>(power), "power");
  if (asked) {
    power_ = power;
  }
  if (!forgot) {
    return asked;
  }
  const Outcome back = come_back();
  return asked ? back : asked;
}

}  // namespace guest::npu
