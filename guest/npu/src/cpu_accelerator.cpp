#include "guest/npu/cpu_accelerator.hpp"

#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/modelled_time.hpp"
#include "guest/npu/refusal.hpp"

namespace guest::npu {
namespace {

using abi::npu::Opcode;
using abi::npu::Power;
using abi::npu::Reason;
using abi::npu::Status;
using kernel::Outcome;
using threads::MutexGuard;
using threads::WaitResult;

std::uint64_t now_ns() { return threads::dispatcher().timers().clock().now_ns(); }

std::uint64_t deadline_after(std::uint64_t now, std::uint64_t deadline_ns) {
  return deadline_ns == 0 || deadline_ns > threads::kForever - now ? threads::kForever : now + deadline_ns;
}

bool uses_macs(Opcode opcode) {
  return opcode == Opcode::Gemm || opcode == Opcode::Attention || opcode == Opcode::Conv2d ||
         opcode == Opcode::DepthwiseConv2d;
}

/// Little-endian counters have no +=.
void add(abi::Le64& counter, std::uint64_t amount) { counter = counter + amount; }

JobEnd end_of(const ::npu::JobFault& fault) {
  return {.status = fault.fault.status,
          .reason = fault.fault.reason,
          .command = fault.command,
          .stream_offset = fault.stream_offset()};
}

}  // namespace

CpuAccelerator::CpuAccelerator(const ::npu::KernelSet& kernels)
    : kernels_(kernels),
      info_{.name = "cpu",
            .max_jobs = kMaxJobs,
            .max_commands = limits_.max_commands,
            .max_regions = kMaxRegions,
            .max_job_cycles = limits_.max_cycles,
            .max_command_cycles = model_.max_command_cycles,
            .clock_hz = model_.clock_hz,
            .bytes_per_cycle = model_.bytes_per_cycle,
            .f32_macs_per_cycle = model_.f32_macs_per_cycle,
            .i8_macs_per_cycle = model_.i8_macs_per_cycle,
            .f32_ops_per_cycle = model_.f32_ops_per_cycle,
            .opcodes = (std::uint64_t{1} << abi::npu::kOpcodes) - 1} {}

// ---- Regions

std::expected<std::uint32_t, kernel::NamedError> CpuAccelerator::register_region(std::span<std::byte> memory,
                                                                                 std::uint32_t flags) {
  const MutexGuard guard(mutex_);
  if (power_ == Power::Off) {
    return std::unexpected(refused("a region", {Status::Reset, Reason::PowerOff}));
  }
  const auto handle = regions_.add(memory, flags);
  return handle ? std::expected<std::uint32_t, kernel::NamedError>(*handle)
                : std::unexpected(refused("a region", handle.error()));
}

Outcome CpuAccelerator::release_region(std::uint32_t handle) {
  const MutexGuard guard(mutex_);
  const auto removed = regions_.remove(handle);
  return removed ? Outcome() : std::unexpected(refused("the release of a region", removed.error()));
}

// ---- Jobs

Outcome CpuAccelerator::submit(Job& job) {
  begin(job);
  Run run{.job = job, .end = {}};
  if (Outcome entered = enter(run); !entered) {
    take_back(job);
    return entered;
  }
  const std::uint64_t started_ns = now_ns();
  execute(run);
  run.end.run_ns = now_ns() - started_ns;
  leave(run);
  finish(job, run.end);
  return {};
}

/// Waits for a place among the jobs that run.
Outcome CpuAccelerator::enter(Run& run) {
  const MutexGuard guard(mutex_);
  while (jobs_ == kMaxJobs) {
    if (changed_.wait(mutex_) == WaitResult::Stopped) {
      return kernel::fail("npu-busy", "{} jobs run, and the thread was asked to end while it waited", kMaxJobs);
    }
  }
  const std::uint64_t now = now_ns();
  if (jobs_ == 0) {
    add(counters_.idle_ns, now - idle_since_ns_);
  }
  ++jobs_;
  run.number = ++last_number_;
  *std::ranges::find(running_, std::uint64_t{0}) = run.number;
  run.epoch = epoch_;
  run.due_ns = deadline_after(now, header(run.job).deadline_ns);
  run.modelled_ns = now;
  regions(run.job) = {};
  regions_.hold(commands(run.job), regions(run.job));
  add(counters_.jobs_submitted, 1);
  return {};
}

void CpuAccelerator::leave(const Run& run) {
  const MutexGuard guard(mutex_);
  regions_.release(regions(run.job));
  add(counters_.jobs_by_status[static_cast<unsigned>(run.end.status)], 1);
  *std::ranges::find(running_, run.number) = 0;
  --jobs_;
  if (jobs_ == 0) {
    idle_since_ns_ = now_ns();
  }
  changed_.notify_all();
}

void CpuAccelerator::execute(Run& run) {
  if (power_ == Power::Off) {
    run.end = {.status = Status::Reset, .reason = Reason::PowerOff};
    return;
  }
  const auto stream = commands(run.job);
  const HeldRegions held(regions_, regions(run.job));
  const auto cost = ::npu::measure_job(header(run.job), stream, held, model_, limits_);
  if (!cost) {
    run.end = end_of(cost.error());
    return;
  }
  for (std::uint32_t i = 0; i < stream.size(); ++i) {
    if (!run_command(run, i)) {
      run.end.command = i;
      run.end.stream_offset = i * static_cast<std::uint32_t>(sizeof(abi::npu::Command));
      return;
    }
  }
  if (now_ns() >= run.due_ns) {
    run.end.status = Status::Deadline;
    run.end.reason = Reason::DeadlinePassed;
    return;
  }
  metrics().bytes.add(cost->bytes_read + cost->bytes_written);
}

/// False: the job ends, as run.end says.
bool CpuAccelerator::run_command(Run& run, std::uint32_t index) {
  if (!wait_for_power(run)) {
    return false;
  }
  const HeldRegions held(regions_, regions(run.job));
  const auto command = ::npu::check_command(commands(run.job)[index], held, model_);
  // It was checked before, and neither it nor its regions may change while it is in flight.
  kernel::require(command.has_value(), "a command of a job in flight has changed");
  if (!run_units(run, *command)) {
    return false;
  }
  count(*command);
  run.end.cycles += command->cost.cycles;
  run.modelled_ns += modelled_ns(command->cost.cycles, model_.clock_hz);
  const bool at_modelled_time = (header(run.job).flags & abi::npu::job_flag::kAtModelledTime) != 0;
  return !at_modelled_time || wait_for_model(run);
}

bool CpuAccelerator::run_units(Run& run, const ::npu::Checked& command) {
  const std::uint64_t units = ::npu::partition(command).units;
  const ::npu::Kernel kernel = kernels_.kernels[static_cast<unsigned>(command.opcode)];
  for (std::uint64_t unit = 0; unit < units; ++unit) {
    if (!may_go_on(run)) {
      return false;
    }
    if (const auto failure = kernel(command, {.first = unit, .count = 1})) {
      run.end.status = Status::Region;
      run.end.reason = *failure;
      return false;
    }
  }
  return true;
}

/// Nothing: the job may go on.
std::optional<JobEnd> CpuAccelerator::reason_to_end(const Run& run) const {
  if (epoch_.load(std::memory_order_relaxed) != run.epoch) {
    return JobEnd{.status = Status::Reset, .reason = epoch_reason_.load(std::memory_order_relaxed)};
  }
  if (abort_flag(run.job).load(std::memory_order_relaxed) || threads::current_thread().stop_requested()) {
    return JobEnd{.status = Status::Aborted, .reason = Reason::AbortRequest};
  }
  if (now_ns() >= run.due_ns) {
    return JobEnd{.status = Status::Deadline, .reason = Reason::DeadlinePassed};
  }
  return std::nullopt;
}

/// False: the job ends, and run.end says why.
bool CpuAccelerator::may_go_on(Run& run) {
  if (const auto end = reason_to_end(run)) {
    run.end.status = end->status;
    run.end.reason = end->reason;
    return false;
  }
  return true;
}

bool CpuAccelerator::wait_for_power(Run& run) {
  if (power_.load(std::memory_order_relaxed) == Power::On) [[likely]] {
    return may_go_on(run);
  }
  const MutexGuard guard(mutex_);
  while (may_go_on(run)) {
    if (power_ == Power::On) {
      return true;
    }
    (void)changed_.wait(mutex_, run.due_ns);  // whatever ended it, may_go_on() looks
  }
  return false;
}

/// The modelled device is not done yet.
bool CpuAccelerator::wait_for_model(Run& run) {
  const MutexGuard guard(mutex_);
  while (may_go_on(run)) {
    if (now_ns() >= run.modelled_ns) {
      return true;
    }
    (void)changed_.wait(mutex_, std::min(run.modelled_ns, run.due_ns));  // as above
  }
  return false;
}

void CpuAccelerator::count(const ::npu::Checked& command) {
  const ::npu::Cost& cost = command.cost;
  const MutexGuard guard(mutex_);
  add(counters_.commands, 1);
  add(counters_.busy_cycles, cost.cycles);
  add(counters_.mac_active_cycles, uses_macs(command.opcode) ? cost.compute_cycles : 0);
  add(counters_.memory_stall_cycles, cost.memory_cycles - std::min(cost.memory_cycles, cost.compute_cycles));
  add(counters_.bytes_read, cost.bytes_read);
  add(counters_.bytes_written, cost.bytes_written);
}

void CpuAccelerator::abort(Job& job) {
  abort_flag(job).store(true, std::memory_order_relaxed);  // seen between two units
  // With the mutex, so that it is not missed between the look and the wait.
  const MutexGuard guard(mutex_);
  changed_.notify_all();
}

// ---- Control

Outcome CpuAccelerator::wait_for_jobs_before(std::uint64_t number) {
  const auto came_before = [number](std::uint64_t each) { return each != 0 && each < number; };
  while (std::ranges::any_of(running_, came_before)) {
    if (changed_.wait(mutex_) == WaitResult::Stopped) {
      return kernel::fail("npu-busy", "the thread was asked to end while it waited for {} jobs", jobs_);
    }
  }
  return {};
}

/// With the mutex.
Outcome CpuAccelerator::end_all(Reason reason) {
  epoch_reason_ = reason;
  epoch_ = epoch_ + 1;
  changed_.notify_all();
  return wait_for_jobs_before(last_number_ + 1);
}

Outcome CpuAccelerator::reset() {
  const MutexGuard guard(mutex_);
  power_ = Power::On;
  return end_all(Reason::DeviceReset);
}

Outcome CpuAccelerator::flush() {
  const MutexGuard guard(mutex_);
  return wait_for_jobs_before(last_number_ + 1);
}

Outcome CpuAccelerator::set_power(Power power) {
  const MutexGuard guard(mutex_);
  power_ = power;
  changed_.notify_all();
  return power == Power::Off ? end_all(Reason::PowerOff) : Outcome();
}

std::expected<abi::npu::Counters, kernel::NamedError> CpuAccelerator::read_counters() {
  const MutexGuard guard(mutex_);
  abi::npu::Counters counters = counters_;
  if (jobs_ == 0) {
    add(counters.idle_ns, now_ns() - idle_since_ns_);
  }
  counters.regions = regions_.count();
  counters.jobs_in_flight = jobs_;
  return counters;
}

}  // namespace guest::npu
