#include "vandal.hpp"

#include <array>
#include <cstring>
#include <span>

#include "guest/arch/clock.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/threads/threads.hpp"

namespace guest::hostile {
namespace {

using abi::npu::Command;
using abi::npu::ControlOp;
using abi::npu::ControlReply;
using abi::npu::ControlRequest;
using abi::npu::JobHeader;
using abi::npu::JobResult;
using abi::npu::Reason;
using abi::npu::Status;

constexpr std::uint64_t kMs = 1'000'000;
/// In which a device must do what it does at once, on a host that is busy.
constexpr std::uint64_t kPatienceNs = 20'000 * kMs;
constexpr std::uint64_t kRingFeatures = abi::virtio::feature::bit(abi::virtio::feature::kRingIndirectDesc) |
                                        abi::virtio::feature::bit(abi::virtio::feature::kRingEventIdx);
constexpr std::uint32_t kReadWrite = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;
constexpr std::uint32_t kReasons = static_cast<std::uint32_t>(Reason::WriteOnlyRegion) + 1;

template <typename T>
T get(const drivers::DmaBuffer& from) {
  T value;
  std::memcpy(&value, from.bytes.data(), sizeof value);
  return value;
}
template <typename T>
void put(const drivers::DmaBuffer& to, const T& value) {
  std::memcpy(to.bytes.data(), &value, sizeof value);
}

ControlRequest request_of(ControlOp op) {
  ControlRequest request{};
  request.op = static_cast<std::uint32_t>(op);
  return request;
}

}  // namespace

void Vandal::wrong(std::string_view what, std::uint64_t value) {
  constexpr std::uint64_t kMostLines = 10;
  if (++totals_.wrong <= kMostLines) {
    kernel::log_error("HOSTILE wrong: {} {:#x}", what, value);
  }
}

template <typename Condition>
bool Vandal::wait_until(Condition condition, std::uint64_t limit_ns) {
  const std::uint64_t end = arch::clock_now_ns() + limit_ns;
  for (collect(); !condition(); collect()) {
    if (arch::clock_now_ns() > end) {
      return false;
    }
    threads::sleep_for(kMs / 10);
  }
  return true;
}

/// A driver begins anew.
void Vandal::set_up(std::uint64_t features) {
  ++totals_.resets;
  handles_.clear();
  whole_ = 0;
  const bool agreed = transport_.negotiate(features).has_value();
  for (std::uint16_t i = 0; i < 2; ++i) {
    queues_[i].clear();
    for (Slot& slot : slots_[i]) {
      slot = {};
    }
    if (!agreed || transport_.activate_queue(i, queues_[i].addresses()) != kernel::Status::Ok) {
      return wrong("no queue after a reset", i);
    }
  }
  if (transport_.set_driver_ok() != kernel::Status::Ok) {
    wrong("no device after a reset", 0);
  }
}

/// kSlots: none.
std::size_t Vandal::free_slot(std::uint16_t queue) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (!slots_[queue][i].in_flight) {
      return i;
    }
  }
  return kSlots;
}

void Vandal::send(std::uint16_t queue, std::size_t slot, std::uint32_t request_bytes, std::uint32_t reply_bytes) {
  const auto first = static_cast<std::uint16_t>(slot * RawQueue::kPerSlot);
  RawQueue& ring = queues_[queue];
  ring.set_descriptor(first, {.addr = kernel::raw(arena_.request(queue, slot).address),
                              .len = request_bytes,
                              .flags = abi::virtio::kDescNext,
                              .next = static_cast<std::uint16_t>(first + 1)});
  ring.set_descriptor(static_cast<std::uint16_t>(first + 1), {.addr = kernel::raw(arena_.reply(queue, slot).address),
                                                              .len = reply_bytes,
                                                              .flags = abi::virtio::kDescWrite,
                                                              .next = 0});
  slots_[queue][slot].in_flight = true;
  ring.offer(first);
  if (!random_.one_in(10)) {
    transport_.notify(queue);
  }
}

void Vandal::send_commands(std::span<const Command> commands, const JobHeader& header, std::size_t slot) {
  const drivers::DmaBuffer request = arena_.request(kJobs, slot);
  put(request, header);
  std::memcpy(&request.bytes[sizeof header], commands.data(), commands.size_bytes());
  slots_[kJobs][slot] = {.id = header.id};
  ++totals_.offered;
  send(kJobs, slot, static_cast<std::uint32_t>(sizeof header + commands.size_bytes()), sizeof(JobResult));
}

void Vandal::send_job() {
  const std::size_t slot = free_slot(kJobs);
  if (slot == kSlots) {
    return recover();
  }
  std::array<Command, 12> commands{};
  const std::uint32_t count = random_.one_in(4) ? 12 : random_.below(4);
  make_commands(random_, handles_, whole_, std::span(commands).first(count));
  if (count > 0 && random_.one_in(12)) {
    commands[0] = make_long_command(whole_);
  }
  send_commands(std::span(commands).first(count), make_header(random_, count), slot);
}

void Vandal::send_request(const ControlRequest& request, std::size_t slot, bool must_fail) {
  put(arena_.request(kControl, slot), request);
  slots_[kControl][slot] = {.must_fail = must_fail, .op = request.op};
  // Of what does not fit, a device says so.
  const std::uint32_t room = random_.one_in(20) ? 20 : kReplyBytes;
  send(kControl, slot, sizeof request, room);
}

void Vandal::send_request() {
  const std::size_t slot = free_slot(kControl);
  if (slot == kSlots) {
    return recover();
  }
  if (random_.one_in(4)) {
    return send_request(make_bad_region(random_, arena_.tensors()), slot, true);
  }
  send_request(make_request(random_, handles_, arena_.tensors()), slot);
}

/// A region of all tensors, so that commands find one.
void Vandal::register_all() {
  const std::size_t slot = free_slot(kControl);
  if (slot == kSlots) {
    return recover();
  }
  ControlRequest request = request_of(ControlOp::RegisterRegion);
  request.argument = kReadWrite;
  request.address = kernel::raw(arena_.tensors().address);
  request.bytes = kTensorBytes;
  send_request(request, slot);
  transport_.notify(kControl);
  (void)wait_until([&] { return !slots_[kControl][slot].in_flight; }, 50 * kMs);
}

/// Into tensors, and into streams that the device may be reading. Never into addresses: those decide what it writes to.
void Vandal::scribble() {
  for (unsigned i = 0; i < 32; ++i) {
    const std::uint64_t value = random_.next();
    std::memcpy(&arena_.tensors().bytes[random_.below(kTensorBytes / 8) * 8], &value, sizeof value);
    const std::size_t slot = random_.below(kSlots);
    std::memcpy(&arena_.request(kJobs, slot).bytes[random_.below(kReplyOffset / 8) * 8], &value, sizeof value);
    slots_[kJobs][slot].touched = true;
  }
}

void Vandal::collect() {
  for (std::uint16_t queue = 0; queue < 2; ++queue) {
    while (const auto used = queues_[queue].collect()) {
      const std::size_t index = used->id / RawQueue::kPerSlot;
      if (index >= kSlots || used->id % RawQueue::kPerSlot != 0 || !slots_[queue][index].in_flight) {
        wrong("an answer to what was not asked", used->id);
        continue;
      }
      Slot& slot = slots_[queue][index];
      slot.in_flight = false;
      queue == kJobs ? check_job(slot, index) : check_reply(slot, index);
    }
  }
}

void Vandal::check_job(const Slot& slot, std::size_t index) {
  ++totals_.answered;
  const auto result = get<JobResult>(arena_.reply(kJobs, index));
  if (result.status >= abi::npu::kStatuses || result.reason >= kReasons ||
      (result.status == 0) != (result.reason == 0)) {
    wrong("a job's status and reason", result.status << 16 | result.reason);
  }
  const std::uint32_t command = result.command;
  const std::uint32_t offset = result.stream_offset;
  if (command == abi::npu::kNoCommand ? offset != 0 : offset / sizeof(Command) != command) {
    wrong("a stream offset outside of its command", std::uint64_t{command} << 32 | offset);
  }
  if (!slot.touched && result.id != slot.id) {
    wrong("another job's id", result.id);
  }
  totals_.ok += result.status == 0 ? 1 : 0;
  totals_.refused += result.status != 0 && command != abi::npu::kNoCommand && result.started_ns == 0 ? 1 : 0;
}

void Vandal::check_reply(const Slot& slot, std::size_t index) {
  ++totals_.control;
  const auto reply = get<ControlReply>(arena_.reply(kControl, index));
  if (reply.status >= abi::npu::kStatuses || reply.reason >= kReasons || (reply.status == 0) != (reply.reason == 0)) {
    return wrong("a request's status and reason", reply.status << 16 | reply.reason);
  }
  if (slot.must_fail && reply.status == 0) {
    wrong("a region that is none was registered", reply.value);
  }
  if (reply.status == 0 && slot.op == static_cast<std::uint32_t>(ControlOp::RegisterRegion)) {
    handles_.add(static_cast<std::uint32_t>(reply.value));
    const auto request = get<ControlRequest>(arena_.request(kControl, index));
    whole_ = request.bytes == kTensorBytes ? static_cast<std::uint32_t>(reply.value) : whole_;
  }
}

/// A queue is full. A reset of the NPU ends every job, whatever holds them up, and answers what waits for them.
void Vandal::recover() {
  for (std::uint16_t queue = 0; queue < 2; ++queue) {
    transport_.notify(queue);
  }
  const std::size_t slot = free_slot(kControl);
  if (slot == kSlots) {  // all wait, and some for power that nobody can turn on any more
    return set_up(kRingFeatures & ~abi::virtio::feature::bit(abi::virtio::feature::kRingEventIdx));
  }
  send_request(request_of(ControlOp::Reset), slot);
  transport_.notify(kControl);
  const auto idle = [&] {
    for (const auto& queue : slots_) {
      for (const Slot& each : queue) {
        if (each.in_flight) {
          return false;
        }
      }
    }
    return true;
  };
  if (!wait_until(idle, kPatienceNs)) {
    wrong("jobs or requests did not end with a reset", 0);
    set_up(0);
  }
  handles_.clear();
  register_all();
}

void Vandal::act() {
  const std::uint32_t choice = random_.below(100);
  if (choice < 45) {
    send_job();
  } else if (choice < 65) {
    send_request();
  } else if (choice < 75) {
    scribble();
  } else if (choice < 90) {
    collect();
  } else if (choice < 94) {
    register_all();
  } else if (choice < 97) {
    transport_.notify(static_cast<std::uint16_t>(random_.below(2)));
  } else if (choice < 98) {
    set_up(random_.next() & kRingFeatures);  // in the middle of whatever runs
    register_all();
  } else {
    break_queue();
  }
}

/// A driver that does everything right finds a device that does, too.
void Vandal::check_that_it_works() {
  set_up(0);
  register_all();
  const drivers::DmaBuffer tensors = arena_.tensors();
  constexpr std::size_t kBytes = 64;
  for (std::size_t i = 0; i < kBytes; ++i) {
    tensors.bytes[i] = std::byte{0};
    tensors.bytes[kBytes + i] = static_cast<std::byte>(i + 1);
  }
  Command copy{};
  copy.opcode = static_cast<std::uint16_t>(abi::npu::Opcode::Copy);
  copy.dims[0] = 1;
  copy.dims[1] = kBytes / 4;
  copy.operands[0].region = copy.operands[1].region = whole_;
  copy.operands[1].offset = kBytes;
  JobHeader header{};
  header.stream_version = abi::npu::kStreamVersion;
  header.commands = 1;
  header.id = 1000;
  const std::uint64_t ok_before = totals_.ok;
  send_commands({&copy, 1}, header, 0);
  transport_.notify(kJobs);
  if (!wait_until([&] { return !slots_[kJobs][0].in_flight; }, kPatienceNs) || totals_.ok != ok_before + 1 ||
      std::memcmp(&tensors.bytes[0], &tensors.bytes[kBytes], kBytes) != 0) {
    wrong("a job that must work does not", get<JobResult>(arena_.reply(kJobs, 0)).reason);
  }
}

Totals Vandal::run(std::uint64_t seed, unsigned steps) {
  random_ = Random(seed);
  totals_ = {};
  set_up(random_.next() & kRingFeatures);
  register_all();
  for (unsigned i = 0; i < steps; ++i) {
    act();
  }
  check_that_it_works();
  if (!arena_.guards_are_whole()) {
    wrong("memory was written that is in no region", 0);
  }
  return totals_;
}

}  // namespace guest::hostile
