// npu status, npu jobs, npu counters: what the NPU is and does.
#include <algorithm>
#include <new>

#include "background.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/names.hpp"
#include "guest/npu/npu.hpp"
#include "guest/tasks/task_set.hpp"
#include "npu_commands.hpp"
#include "npu_common.hpp"

namespace guest::control {
namespace {

using abi::npu::Opcode;
using abi::npu::Priority;

/// Asks the accelerator for its counters, which takes a device a moment.
class WithCounters : public Background {
 public:
  WithCounters() : Background(OnCancel::StopThread) {}

 protected:
  abi::npu::Counters counters{};

 private:
  Done work() final {
    const auto read = npu::npu().read_counters();
    if (!read) {
      return refuse_npu(read.error());
    }
    counters = *read;
    return {};
  }
};

class Status final : public WithCounters {
  void answer(ResultMap& result) const override {
    const npu::Info& info = npu::npu().info();
    const npu::JobTotals totals = npu::job_history().totals();
    result.add("accelerator", info.name);
    result.add("power", npu::to_string(npu_power()));
    result.add("stream_version", abi::npu::kStreamVersion);
    result.add("regions", counters.regions);
    result.add("jobs_in_flight", totals.in_flight);
    result.add("most_in_flight", totals.most_in_flight);
    result.add("jobs_ended", totals.ended);
    add_limits(info, result);
    add_model(info, result);
    add_commands(info, result);
  }

  static void add_limits(const npu::Info& info, ResultMap& into) {
    ResultMap limits(into.key_for("limits"));
    limits.add("jobs", info.max_jobs);
    limits.add("commands", info.max_commands);
    limits.add("regions", info.max_regions);
    limits.add("job_cycles", info.max_job_cycles);
    limits.add("command_cycles", info.max_command_cycles);
    limits.finish();
  }

  static void add_model(const npu::Info& info, ResultMap& into) {
    ResultMap model(into.key_for("model"));
    model.add("clock_hz", info.clock_hz);
    model.add("bytes_per_cycle", info.bytes_per_cycle);
    model.add("f32_macs_per_cycle", info.f32_macs_per_cycle);
    model.add("i8_macs_per_cycle", info.i8_macs_per_cycle);
    model.add("f32_ops_per_cycle", info.f32_ops_per_cycle);
    model.finish();
  }

  static void add_commands(const npu::Info& info, ResultMap& into) {
    CborWriter& writer = into.key_for("commands");
    const std::size_t token = writer.begin_array();
    std::size_t count = 0;
    for (unsigned i = 0; i < abi::npu::kOpcodes; ++i) {
      if ((info.opcodes >> i & 1) != 0) {
        writer.text(npu::to_string(static_cast<Opcode>(i)));
        ++count;
      }
    }
    writer.end(token, count);
  }
};

class Counters final : public WithCounters {
  void answer(ResultMap& result) const override {
    add_device(result);
    add_driver(result);
    ResultMap latency(result.key_for("latency"));
    for (unsigned i = 0; i < abi::npu::kPriorities; ++i) {
      const auto priority = static_cast<Priority>(i);
      if (const kernel::Histogram& histogram = npu::job_latency(priority); histogram.count() != 0) {
        add_histogram(latency, npu::to_string(priority), histogram);
      }
    }
    latency.finish();
  }

  void add_device(ResultMap& into) const {
    ResultMap device(into.key_for("device"));
    device.add("busy_cycles", counters.busy_cycles);
    device.add("mac_active_cycles", counters.mac_active_cycles);
    device.add("memory_stall_cycles", counters.memory_stall_cycles);
    device.add("idle_ns", counters.idle_ns);
    device.add("bytes_read", counters.bytes_read);
    device.add("bytes_written", counters.bytes_written);
    device.add("commands", counters.commands);
    device.add("jobs_submitted", counters.jobs_submitted);
    for (unsigned i = 0; i < abi::npu::kStatuses; ++i) {
      kernel::FixedText<24> name;
      kernel::format_to(name, "jobs_{}", npu::to_string(static_cast<abi::npu::Status>(i)));
      device.add(name.view(), counters.jobs_by_status[i]);
    }
    device.add("preemptions", counters.preemptions);
    device.add("interrupts", counters.interrupts);
    device.add("regions", counters.regions);
    device.add("jobs_in_flight", counters.jobs_in_flight);
    device.finish();
  }

  static void add_driver(ResultMap& into) {
    const npu::Metrics& metrics = npu::metrics();
    ResultMap driver(into.key_for("driver"));
    for (const kernel::Counter* const counter :
         {&metrics.jobs, &metrics.in_flight, &metrics.faults, &metrics.deadline_misses, &metrics.busy_cycles,
          &metrics.bytes, &metrics.throttled, &metrics.interrupts, &metrics.lost_interrupts, &metrics.overdue,
          &metrics.resets}) {
      // Without "npu_": they stand under a key of the NPU's.
      driver.add(counter->name().substr(std::string_view("npu_").size()), counter->value());
    }
    driver.finish();
  }
};

void add_job(CborWriter& writer, const npu::JobRecord& job) {
  ResultMap entry(writer);
  entry.add("id", job.end.id);
  entry.add("state", job.in_flight ? "in-flight" : "ended");
  if (const auto server = server_name(job.origin)) {
    entry.add("server", *server);
  } else if (job.origin != 0) {
    entry.add("server_id", job.origin);  // it is not there any more
  }
  entry.add("priority", npu::to_string(job.priority));
  entry.add("commands", job.commands);
  entry.add("submitted_ns", job.end.submitted_ns);
  if (!job.in_flight) {
    entry.add("status", npu::to_string(job.end.status));
    if (!job.end.ok()) {
      entry.add("reason", npu::to_string(job.end.reason));
    }
    if (job.end.command != abi::npu::kNoCommand) {
      entry.add("command", job.end.command);
      entry.add("stream_offset", job.end.stream_offset);
    }
    entry.add("cycles", job.end.cycles);
    entry.add("latency_ns", job.end.ended_ns - job.end.submitted_ns);
    entry.add("run_ns", job.end.run_ns);
    entry.add("preemptions", job.end.preemptions);
  }
  entry.finish();
}

}  // namespace

HandlerResult handle_npu_status(Services&, const Arguments&, Caller& caller, ResultMap&) {
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) Status), "npu status", caller);
}

HandlerResult handle_npu_counters(Services&, const Arguments&, Caller& caller, ResultMap&) {
  return Background::start(std::unique_ptr<Background>(new (std::nothrow) Counters), "npu counters", caller);
}

/// Oldest first; those that were never taken, or are forgotten, have no place in the count.
HandlerResult handle_npu_jobs(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const npu::JobHistory& history = npu::job_history();
  const npu::JobTotals totals = history.totals();
  const std::uint64_t wanted = arguments.number("count", 16);
  const std::uint64_t places = std::min<std::uint64_t>(npu::JobHistory::kPlaces, totals.last_id);
  std::uint64_t first = totals.last_id + 1;
  for (std::uint64_t found = 0; found < wanted && first > totals.last_id + 1 - places; --first) {
    found += history.find(first - 1) ? 1 : 0;
  }
  CborWriter& writer = result.key_for("jobs");
  const std::size_t token = writer.begin_array();
  std::size_t count = 0;
  for (std::uint64_t id = first; id <= totals.last_id; ++id) {
    if (const auto job = history.find(id)) {
      add_job(writer, *job);
      ++count;
    }
  }
  writer.end(token, count);
  result.add("in_flight", totals.in_flight);
  result.add("ended", totals.ended);
  return Handled::Now;
}

}  // namespace guest::control
