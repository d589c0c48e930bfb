#include "guest/bench/npu/npu_benchmarks.hpp"

#include <memory>

#include "guest/npu/npu.hpp"

namespace guest::bench {
namespace {

/// Jobs in flight together, as a graph with several operators has them.
constexpr std::uint32_t kTogether = 16;
constinit std::unique_ptr<npu::Job> jobs[kTogether];

Ready prepare_jobs() {
  for (std::unique_ptr<npu::Job>& job : jobs) {
    auto made = npu::Job::make(1);  // it stays without a command
    if (!made) {
      return std::unexpected("no memory for jobs");
    }
    job = std::move(*made);
  }
  return {};
}

void remove_jobs() {
  for (std::unique_ptr<npu::Job>& job : jobs) {
    job.reset();
  }
}

constexpr std::string_view kFailed = "the NPU refused what was asked of it";

/// The least that a request to the device can be: its own work is to copy numbers.
Sample take_control(const Benchmark& self) {
  bool sound = true;
  const std::uint64_t ticks = time_of(self.operations, [&] { sound &= npu::npu().read_counters().has_value(); });
  return sound ? Sample(ticks) : std::unexpected(kFailed);
}

Sample take_job(const Benchmark& self) {
  npu::Job& job = *jobs[0];
  bool sound = true;
  const std::uint64_t ticks =
      time_of(self.operations, [&] { sound &= npu::npu().run(job).has_value() && job.end().ok(); });
  return sound ? Sample(ticks) : std::unexpected(kFailed);
}

Sample take_jobs(const Benchmark&) {
  bool sound = true;
  const std::uint64_t begin = kernel::tick_count();
  for (const std::unique_ptr<npu::Job>& job : jobs) {
    sound &= npu::npu().submit(*job).has_value();
  }
  for (const std::unique_ptr<npu::Job>& job : jobs) {
    sound &= job->wait() == threads::WaitResult::Signalled && job->end().ok();
  }
  const std::uint64_t ticks = kernel::tick_count() - begin;
  return sound ? Sample(ticks) : std::unexpected(kFailed);
}

constexpr Benchmark kBenchmarks[] = {
    {.name = "npu-control",
     .measures = "reading the NPU's counters: a request to its control queue, and the reply",
     .take = take_control},
    {.name = "npu-job",
     .measures = "a job without commands: submitting it, and its result",
     .take = take_job,
     .prepare = prepare_jobs,
     .finish = remove_jobs},
    {.name = "npu-jobs",
     .measures = "one of 16 such jobs that are submitted together and waited for",
     .operations = kTogether,
     .take = take_jobs,
     .prepare = prepare_jobs,
     .finish = remove_jobs},
};

}  // namespace

std::span<const Benchmark> npu_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
