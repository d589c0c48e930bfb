// The engine's own thread: which job, which command, which units next.
#include <algorithm>

#include "vmm/devices/npu/engine.hpp"
#include "worker_pool.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Opcode;
using abi::npu::Reason;
using abi::npu::Status;

/// A slice that one thread is done with sooner is not worth waking helpers.
constexpr std::chrono::microseconds kSharedSliceTime{50};
/// What a thread takes of a shared slice at a time, at least: each share makes again what a product makes of its input
/// once, such as blocks of integers.
constexpr std::chrono::microseconds kShareTime{20};

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

bool uses_macs(Opcode opcode) {
  return opcode == Opcode::Gemm || opcode == Opcode::Attention || opcode == Opcode::Conv2d ||
         opcode == Opcode::DepthwiseConv2d;
}

std::uint64_t modelled_ns(std::uint64_t cycles, std::uint64_t clock_hz) {
  // In parts, since the product has more than 64 bits.
  const std::uint64_t rest = cycles % clock_hz * (kNsPerSecond / 1000) / std::max<std::uint64_t>(1, clock_hz / 1000);
  return cycles / clock_hz * kNsPerSecond + rest;
}

/// Chooses how many units make a slice, and who runs them.
class SliceSizer {
 public:
  SliceSizer(const ::npu::Checked& command, std::uint64_t units, const Pace& pace, unsigned threads)
      : command_(command),
        pace_(pace),
        threads_(threads),
        cycles_per_unit_(std::max<std::uint64_t>(1, command.cost.cycles / units)) {}

  struct Slice {
    std::uint64_t units;
    unsigned threads;  ///< 1: it is not shared
    [[nodiscard]] bool shared() const { return threads > 1; }
  };
  [[nodiscard]] Slice next(std::uint64_t units_left) const {
    const std::uint64_t together = units_in(Engine::kSliceTarget * threads_);
    const bool pays = std::min(together, units_left) > 1 &&
                      cycles_of(std::min(together, units_left)) >= pace_.cycles_in(command_, kSharedSliceTime);
    const unsigned threads = pays ? threads_ : 1;
    return {std::min(units_in(Engine::kSliceTarget * threads), units_left), threads};
  }
  [[nodiscard]] std::uint64_t units_in(std::chrono::microseconds time) const {
    return std::max<std::uint64_t>(1, pace_.cycles_in(command_, time) / cycles_per_unit_);
  }
  [[nodiscard]] std::uint64_t cycles_of(std::uint64_t units) const { return units * cycles_per_unit_; }

 private:
  const ::npu::Checked& command_;
  const Pace& pace_;
  unsigned threads_;
  std::uint64_t cycles_per_unit_;
};

}  // namespace

void Engine::run() {
  if (config_.thread_start) config_.thread_start();
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const std::uint64_t now = config_.clock->now_ns();
    expire(now);
    if (settle_busy(lock, now)) continue;
    Job* const job = choose();
    if (job == nullptr) {
      if (idle_since_ns_ == kNever) idle_since_ns_ = now;
      config_.clock->wait(lock, work_, next_due());
      continue;
    }
    begin(*job, now);
    run_command(lock, *job);
  }
}

/// Ends jobs whose deadline has passed while they waited.
void Engine::expire(std::uint64_t now_ns) {
  for (auto& queue : jobs_) {
    for (std::size_t i = 0; i < queue.size();) {
      Job& job = *queue[i];
      if (&job == busy_ || job.due_ns() > now_ns) {
        ++i;
      } else {
        finish(job, ended_at(job, Status::Deadline, Reason::DeadlinePassed));
      }
    }
  }
}

/// When expire() has something to do next.
std::uint64_t Engine::next_due() const {
  std::uint64_t due = kNever;
  for (const auto& queue : jobs_) {
    for (const auto& job : queue) {
      if (job.get() != busy_) due = std::min(due, job->due_ns());
    }
  }
  return due;
}

/// Null if none may run.
Job* Engine::choose() const {
  if (paused_ || gated_) return nullptr;
  for (auto queue = jobs_.rbegin(); queue != jobs_.rend(); ++queue) {
    if (!queue->empty()) return queue->front().get();
  }
  return nullptr;
}

/// Something was done or waited for, so that all is to be looked at anew: as long as a command that has run occupies
/// the modelled device, and when a job ends because its last one does no more.
bool Engine::settle_busy(std::unique_lock<std::mutex>& lock, std::uint64_t now_ns) {
  if (busy_ == nullptr) return false;
  if (now_ns < busy_until_ns_) {
    config_.clock->wait(lock, work_, std::min(busy_until_ns_, next_due()));
    return true;
  }
  Job& job = *std::exchange(busy_, nullptr);
  if (job.next_command == job.commands.size()) complete(job);
  return true;
}

/// Bookkeeping before a command.
void Engine::begin(Job& job, std::uint64_t now_ns) {
  if (idle_since_ns_ < now_ns) config_.counters->idle_ns += now_ns - idle_since_ns_;
  idle_since_ns_ = kNever;
  if (job.started_ns == 0) job.started_ns = std::max<std::uint64_t>(1, now_ns);
  if (last_ != nullptr && last_ != &job) {
    ++last_->preemptions;
    ++config_.counters->preemptions;
  }
  if (last_ != &job) job.modelled_ns = now_ns;
  last_ = &job;
}

void Engine::run_command(std::unique_lock<std::mutex>& lock, Job& job) {
  if (job.next_command == job.commands.size()) return command_done(job);
  if (fails(job)) return finish(job, ended_at(job, Status::Injected, Reason::FaultInjection));
  const ::npu::Checked& command = job.commands[job.next_command];
  running_ = &job;
  stop_.reset();
  interrupt_ = false;
  lock.unlock();
  const auto failure = run_slices(job, command);
  lock.lock();
  running_ = nullptr;
  quiet_.notify_all();
  if (stop_) return finish(job, *stop_);
  if (failure) return finish(job, ended_at(job, Status::Region, *failure));
  if (job.next_unit < config_.commands.partition(command).units) return;  // paused, or the end
  count(command);
  job.cycles += command.cost.cycles;
  job.modelled_ns += modelled_ns(command.cost.cycles, config_.model.clock_hz);
  ++job.next_command;
  job.next_unit = 0;
  command_done(job);
}

std::optional<Reason> Engine::run_slices(Job& job, const ::npu::Checked& command) {
  const std::uint64_t units = config_.commands.partition(command).units;
  if (units == 0) return std::nullopt;
  const ::npu::Kernel kernel = config_.commands.kernels->kernels[static_cast<std::size_t>(command.opcode)];
  const SliceSizer sizer(command, units, pace_, config_.options.threads);
  // Pairs with nothing but the mutex, which orders the rest: that the flag is seen soon is all that is asked of it.
  while (job.next_unit < units && !interrupt_.load(std::memory_order_relaxed)) {
    const SliceSizer::Slice slice = sizer.next(units - job.next_unit);
    const ::npu::Units part{.first = job.next_unit, .count = slice.units};
    const auto start = std::chrono::steady_clock::now();  // what the host takes, whatever the device's clock shows
    const auto failure =
        slice.shared() ? pool_->run(kernel, command, part, sizer.units_in(kShareTime)) : kernel(command, part);
    if (failure) return failure;
    pace_.learn(command, sizer.cycles_of(slice.units), std::chrono::steady_clock::now() - start, slice.threads);
    job.next_unit += slice.units;
  }
  return std::nullopt;
}

void Engine::count(const ::npu::Checked& command) {
  Counters& counters = *config_.counters;
  const ::npu::Cost& cost = command.cost;
  ++counters.commands;
  counters.busy_cycles += cost.cycles;
  if (uses_macs(command.opcode)) counters.mac_active_cycles += cost.compute_cycles;
  counters.memory_stall_cycles += cost.memory_cycles - std::min(cost.memory_cycles, cost.compute_cycles);
  counters.bytes_read += cost.bytes_read;
  counters.bytes_written += cost.bytes_written;
}

/// A command has run, or the job has none: lets it occupy the modelled device, and ends the job after the last one.
void Engine::command_done(Job& job) {
  const bool last = job.next_command == job.commands.size();
  const std::uint64_t now = config_.clock->now_ns();
  const bool modelled = job.at_modelled_time || config_.options.timing == Timing::Modelled;
  std::uint64_t until = modelled ? job.modelled_ns : now;
  if (last) until = std::max(until, now) + delay_ns(job);
  if (until > now) {
    busy_ = &job;
    busy_until_ns_ = until;
  } else if (last) {
    complete(job);
  }
}

void Engine::complete(Job& job) {
  if (job.due_ns() <= config_.clock->now_ns()) {
    return finish(job, ended_at(job, Status::Deadline, Reason::DeadlinePassed));
  }
  finish(job, {});
}

/// The scenario wants the job's next command to fail.
bool Engine::fails(const Job& job) const {
  return std::ranges::any_of(config_.options.faults, [&](const Fault& fault) {
    return fault.kind == Fault::Kind::FailCommand && fault.number == job.number && fault.command == job.next_command;
  });
}

/// How much longer the scenario wants the job's last command to take.
std::uint64_t Engine::delay_ns(const Job& job) const {
  std::uint64_t total = 0;
  for (const Fault& fault : config_.options.faults) {
    if (fault.kind == Fault::Kind::DelayJob && fault.number == job.number && fault.delay) {
      total += static_cast<std::uint64_t>(fault.delay->count());
    }
  }
  return total;
}

}  // namespace vmm::npu
