#include "guest/npu/npu.hpp"

#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/trace.hpp"
#include "guest/npu/job_history.hpp"
#include "guest/npu/metrics.hpp"

namespace guest::npu {
namespace {

using abi::npu::Status;
using kernel::TraceType;

constinit Npu* the_npu = nullptr;
constinit Metrics the_metrics;
constinit std::atomic<std::uint64_t> last_id{0};

/// One writer at a time: under its lock.
struct Latency {
  kernel::SpinLock lock{"npu latency", kernel::LockRank::NpuLatency};
  kernel::Histogram of_priority[abi::npu::kPriorities];
};
constinit Latency latency;

bool is_fault(Status status) {
  switch (status) {
    case Status::Parse:
    case Status::Region:
    case Status::Type:
    case Status::Budget:
    case Status::Injected:
    case Status::Busy:
      return true;
    case Status::Ok:
    case Status::Deadline:
    case Status::Aborted:
    case Status::Reset:
      return false;
  }
  return true;
}

void record(const JobEnd& end, std::uint8_t priority) {
  the_metrics.jobs.add();
  the_metrics.busy_cycles.add(end.cycles);
  if (is_fault(end.status)) {
    the_metrics.faults.add();
  }
  if (end.status == Status::Deadline) {
    the_metrics.deadline_misses.add();
  }
  kernel::Trace& trace = kernel::trace();
  trace.record(TraceType::NpuRan, end.preemptions, end.id, end.run_ns);
  trace.record(TraceType::NpuEnd, static_cast<std::uint32_t>(end.status), end.id, end.cycles);
  const kernel::SpinGuard guard(latency.lock);
  latency.of_priority[std::min<unsigned>(priority, abi::npu::kPriorities - 1)].record(end.ended_ns - end.submitted_ns);
}

}  // namespace

Npu& npu() {
  kernel::require(the_npu != nullptr, "the NPU is used before it is there");
  return *the_npu;
}

void set_npu(Npu& npu) { the_npu = &npu; }

Metrics& metrics() { return the_metrics; }

void Metrics::register_all(kernel::CounterRegistry& registry) {
  for (kernel::Counter* counter : {&jobs, &in_flight, &faults, &deadline_misses, &busy_cycles, &bytes, &throttled,
                                   &interrupts, &lost_interrupts, &overdue, &resets}) {
    kernel::require(registry.add(*counter), "a counter of the NPU is registered twice");
  }
}

const kernel::Histogram& job_latency(abi::npu::Priority priority) {
  return latency.of_priority[static_cast<unsigned>(priority)];
}

kernel::Outcome Npu::run(Job& job) {
  if (kernel::Outcome taken = submit(job); !taken) {
    return taken;
  }
  if (job.wait() != threads::WaitResult::Signalled) {
    end(job);
  }
  return {};
}

void Npu::end(Job& job) {
  abort(job);
  (void)job.wait_until(threads::kForever, false);
}

Npu::Block Npu::block(Job& job) {
  const std::span<std::byte> all = std::as_writable_bytes(std::span(job.block_.get(), job.block_lines()));
  return {.header = all.first(sizeof(abi::npu::JobHeader)),
          .commands = all.subspan(sizeof(abi::npu::JobHeader), job.room_ * sizeof(abi::npu::Command)),
          .result = all.last(sizeof(abi::npu::JobResult))};
}

void Npu::begin(Job& job) {
  kernel::require(!job.in_flight(), "a job in flight is submitted");
  const sched::Server* const server = threads::current_thread().server();
  using abi::npu::Priority;
  const Priority priority = job.options.priority.value_or(server != nullptr ? Priority::High : Priority::Normal);
  // Relaxed: ids order nothing.
  const std::uint64_t id = last_id.fetch_add(1, std::memory_order_relaxed) + 1;
  job.end_ = {.id = id, .submitted_ns = threads::dispatcher().timers().clock().now_ns()};
  job.header_ = {};
  job.header_.stream_version = abi::npu::kStreamVersion;
  job.header_.commands = job.count_;
  job.header_.id = id;
  job.header_.priority = static_cast<std::uint8_t>(priority);
  job.header_.flags = job.options.at_modelled_time ? abi::npu::job_flag::kAtModelledTime : std::uint8_t{0};
  job.header_.origin = server != nullptr ? server->id() : 0;
  const std::uint64_t deadline_ns = job.options.deadline_ns;
  job.header_.deadline_ns = deadline_ns == JobOptions::kNoDeadline ? 0 : deadline_ns;
  job.header_.cycle_limit = job.options.cycle_limit;
  job.abort_.store(false, std::memory_order_relaxed);  // nobody else knows it yet
  job.ended_ = false;
  job.in_flight_.store(true, std::memory_order_relaxed);  // as above
  the_metrics.in_flight.add();
  job_history().began(id, job.header_, job.end_.submitted_ns);
  kernel::trace().record(TraceType::NpuSubmit, job.header_.origin, id, job.header_.priority);
}

void Npu::release(Job& job) {
  threads::Waking waking;
  {
    const kernel::MaskedSpinGuard guard(job.lock_);
    job.ended_ = true;
    while (job.waiters_.signal_first(waking)) {
    }
  }
  // The last touch: who finds it idle may free it. Release pairs with the acquire in in_flight().
  job.in_flight_.store(false, std::memory_order_release);
}

void Npu::finish(Job& job, const JobEnd& end) {
  const JobEnd before = job.end_;
  job.end_ = end;
  job.end_.id = before.id;
  job.end_.submitted_ns = before.submitted_ns;
  job.end_.ended_ns = threads::dispatcher().timers().clock().now_ns();
  the_metrics.in_flight.subtract();
  record(job.end_, job.header_.priority);
  job_history().ended(job.end_);
  release(job);
}

void Npu::take_back(Job& job) {
  job_history().taken_back(job.end_.id);
  the_metrics.in_flight.subtract();
  release(job);
}

}  // namespace guest::npu
