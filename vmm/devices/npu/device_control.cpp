// The control queue.
#include <algorithm>
#include <cstring>

#include "vmm/devices/npu/device.hpp"

namespace vmm::npu {
namespace {

using abi::npu::ControlOp;
using abi::npu::ControlReply;
using abi::npu::ControlRequest;
using abi::npu::kControlQueue;
using abi::npu::Power;
using abi::npu::Reason;
using abi::npu::Status;

constexpr unsigned kRequestsPerTurn = 32;
/// That wait for jobs to end; further ones wait in their queue, with what is behind them.
constexpr std::size_t kMostWaiting = 32;

/// A request's fields that mean nothing for it are 0.
bool clean(const ControlRequest& request, bool argument, bool address, bool bytes) {
  return request.reserved == 0 && (argument || request.argument == 0) && (address || request.address == 0) &&
         (bytes || request.bytes == 0);
}

bool is_clean(const ControlRequest& request) {
  switch (static_cast<ControlOp>(request.op.value())) {
    case ControlOp::RegisterRegion:
      return clean(request, true, true, true);
    case ControlOp::ReleaseRegion:
    case ControlOp::SetPower:
      return clean(request, true, false, false);
    case ControlOp::Abort:
      return clean(request, false, true, false);
    default:
      return clean(request, false, false, false);
  }
}

}  // namespace

/// Takes requests. True if there is more to do than one turn allows.
bool NpuDevice::serve_control() {
  virtio::Virtqueue* const control = queue(kControlQueue);
  if (control == nullptr) return false;
  control->disable_kicks();
  unsigned count = 0;
  for (; count < kRequestsPerTurn; ++count) {
    // When jobs end, serve() comes back.
    if (draining() || waiting_.size() >= kMostWaiting || broken_) break;
    const auto popped = control->pop(current_.chain);
    if (!popped) {
      broken(kControlQueue, popped.error().message());
      return false;
    }
    if (*popped) {
      take_control();
    } else {
      publish(kControlQueue);
      if (!control->enable_kicks()) return false;
      control->disable_kicks();
    }
  }
  publish(kControlQueue);
  return count == kRequestsPerTurn;
}

void NpuDevice::take_control() {
  ++counters_.control_requests;
  if (current_.chain.writer().available() < sizeof(ControlReply)) {
    return broken(kControlQueue, "a control request has room for a reply of " +
                                     std::to_string(current_.chain.writer().available()) + " bytes, not " +
                                     std::to_string(sizeof(ControlReply)));
  }
  const auto request = current_.chain.reader().read<ControlRequest>();
  if (!request) return reply(Status::Parse, Reason::ShortBuffer);
  if (!is_clean(*request)) return reply(Status::Parse, Reason::ReservedField);
  handle(*request);
}

void NpuDevice::handle(const ControlRequest& request) {
  switch (static_cast<ControlOp>(request.op.value())) {
    case ControlOp::Query:
      return query();
    case ControlOp::RegisterRegion:
      return register_region(request);
    case ControlOp::ReleaseRegion: {
      const auto removed = regions_.remove(request.argument);
      count_regions();
      return removed ? reply(Status::Ok, Reason::None) : reply(removed.error().status, removed.error().reason);
    }
    case ControlOp::Abort: {
      const std::uint64_t id = request.address;
      const auto ticket = std::ranges::find_if(tickets_, [id](const auto& entry) { return entry.second.id == id; });
      if (ticket == tickets_.end()) return reply(Status::Parse, Reason::UnknownJob);
      // It may have ended in this moment, which is as good.
      engine_->abort(id);
      return wait_for_jobs(ControlOp::Abort, ticket->first);
    }
    case ControlOp::Flush:
      return wait_for_jobs(ControlOp::Flush, engine_->arrived());
    case ControlOp::Reset:
      engine_->abort_all(Status::Reset, Reason::DeviceReset);
      return wait_for_jobs(ControlOp::Reset, 0);
    case ControlOp::SetPower:
      return set_power(request);
    case ControlOp::ReadCounters:
      return read_counters();
  }
  // From the driver, so it may be none of these.
  reply(Status::Parse, Reason::UnknownRequest);
}

void NpuDevice::register_region(const ControlRequest& request) {
  if (power_ == Power::Off) return reply(Status::Reset, Reason::PowerOff);
  const auto handle = regions_.add(request.address, request.bytes, request.argument);
  if (!handle) return reply(handle.error().status, handle.error().reason);
  count_regions();
  reply(Status::Ok, Reason::None, *handle);
}

void NpuDevice::set_power(const ControlRequest& request) {
  if (request.argument > static_cast<std::uint32_t>(Power::Off)) return reply(Status::Parse, Reason::Parameter);
  power_ = static_cast<Power>(request.argument.value());
  engine_->set_gated(power_ == Power::Gated);
  if (power_ != Power::Off) return reply(Status::Ok, Reason::None);
  engine_->abort_all(Status::Reset, Reason::PowerOff);
  wait_for_jobs(ControlOp::SetPower, 0);
}

void NpuDevice::query() {
  const Limits& limits = config_.limits;
  const ::npu::Model& model = config_.model;
  abi::npu::DeviceInfo info{};
  info.stream_version = abi::npu::kStreamVersion;
  info.max_jobs = limits.jobs;
  info.max_commands = limits.job.max_commands;
  info.max_regions = limits.regions;
  info.max_job_cycles = limits.job.max_cycles;
  info.max_command_cycles = model.max_command_cycles;
  info.clock_hz = model.clock_hz;
  info.bytes_per_cycle = model.bytes_per_cycle;
  info.f32_macs_per_cycle = model.f32_macs_per_cycle;
  info.i8_macs_per_cycle = model.i8_macs_per_cycle;
  info.f32_ops_per_cycle = model.f32_ops_per_cycle;
  std::uint64_t opcodes = 0;
  for (unsigned i = 0; i < abi::npu::kOpcodes; ++i) {
    if (config_.commands.kernels->kernels[i] != nullptr) opcodes |= std::uint64_t{1} << i;
  }
  info.opcodes = opcodes;
  info.device_ns = config_.clock->now_ns();
  reply_bytes(std::as_bytes(std::span(&info, 1)));
}

void NpuDevice::read_counters() {
  abi::npu::Counters read{};
  read.busy_cycles = counters_.busy_cycles.value();
  read.mac_active_cycles = counters_.mac_active_cycles.value();
  read.memory_stall_cycles = counters_.memory_stall_cycles.value();
  read.idle_ns = engine_->idle_ns();
  read.bytes_read = counters_.bytes_read.value();
  read.bytes_written = counters_.bytes_written.value();
  read.commands = counters_.commands.value();
  read.jobs_submitted = counters_.jobs_submitted.value();
  for (std::size_t i = 0; i < abi::npu::kStatuses; ++i) {
    read.jobs_by_status[i] = (counters_.*kJobsByStatus[i]).value();
  }
  read.preemptions = counters_.preemptions.value();
  read.interrupts = counters_.interrupts.value();
  read.regions = regions_.count();
  read.jobs_in_flight = counters_.jobs_in_flight.value();
  reply_bytes(std::as_bytes(std::span(&read, 1)));
}

/// The request that is being served is answered when over() says so.
void NpuDevice::wait_for_jobs(ControlOp op, std::uint64_t job) {
  current_.memory = memory_;
  waiting_.push_back({.request = std::exchange(current_, {}), .op = op, .job = job});
}

/// What a request waits for has come.
bool NpuDevice::over(const Waiting& waiting) const {
  switch (waiting.op) {
    case ControlOp::Abort:
      return !tickets_.contains(waiting.job);
    case ControlOp::Flush:
      return tickets_.empty() || tickets_.begin()->first > waiting.job;
    default:
      return tickets_.empty();
  }
}

/// A reset, or the end of power, waits for the last slice: what comes behind it must not come before it. At most a
/// slice long.
bool NpuDevice::draining() const {
  return std::ranges::any_of(waiting_, [](const Waiting& waiting) {
    return waiting.op == ControlOp::Reset || waiting.op == ControlOp::SetPower;
  });
}

/// Answers requests whose jobs have ended. True if there were some.
bool NpuDevice::settle() {
  if (queue(kControlQueue) == nullptr) return false;
  const auto answered = std::erase_if(waiting_, [this](Waiting& waiting) {
    if (!over(waiting)) return false;
    if (waiting.op == ControlOp::Reset || waiting.op == ControlOp::SetPower) forget_regions();
    if (waiting.op == ControlOp::Reset) {
      power_ = Power::On;
      engine_->set_gated(false);
    }
    current_ = std::move(waiting.request);
    reply(Status::Ok, Reason::None);
    return true;
  });
  publish(kControlQueue);
  return answered != 0;
}

void NpuDevice::reply(Status status, Reason reason, std::uint64_t value) {
  ControlReply answer{};
  answer.status = static_cast<std::uint32_t>(status);
  answer.reason = static_cast<std::uint32_t>(reason);
  answer.value = value;
  reply_bytes(std::as_bytes(std::span(&answer, 1)));
}

/// Answers the request that is being served; one without the room for that answer gets a short one.
void NpuDevice::reply_bytes(std::span<const std::byte> bytes) {
  virtio::Writer writer = current_.chain.writer();
  if (writer.available() < bytes.size() && bytes.size() > sizeof(ControlReply)) {
    return reply(Status::Parse, Reason::ShortBuffer);
  }
  writer.write(bytes);
  active_.queues[kControlQueue].push(current_.chain.head(), static_cast<std::uint32_t>(writer.consumed()));
}

}  // namespace vmm::npu
