// Two servers share the NPU: an image of its own, run by tests/integration/test_npu_share.py. One floods it, as fast as
// it can, with several jobs at a time; the other one has a job in each period. Both are promised a hundredth of it.
// First the flood comes from threads without a server, to see what it is when nothing holds it. At the end:
//
//   SHARE flood=server elapsed_us=N flood_us=N flood_jobs=N throttled=N modest_jobs=N modest_late=N modest_longest_us=N
//
// flood_us is the modelled time of its jobs: what its budget is charged. throttled: how often a job waited for a
// budget.
#include <atomic>

#include "boot_npu.hpp"
#include "boot_watchdog.hpp"
#include "guest/kernel/log.hpp"
#include "guest/ml/memory.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/npu.hpp"
#include "monitored.hpp"

namespace guest {
namespace {

constinit kernel::MachineInfo machine;

constexpr std::uint64_t kMs = 1'000'000;
// The budget is of the CPU as well, where a job takes some 0.1 ms, and more on a host that is busy.
constexpr sched::ServerParameters kFlood = {.budget = 4 * kMs, .period = 400 * kMs, .deadline = 400 * kMs};
constexpr sched::ServerParameters kModest = {.budget = 4 * kMs, .period = 40 * kMs, .deadline = 40 * kMs};
constinit sched::Server flood_server(1001, kFlood);
constinit sched::Server modest_server(1002, kModest);

constexpr std::uint64_t kRunNs = 2000 * kMs;
constexpr unsigned kFlooders = 3;
// A copy of so many rows takes the model 0.5 ms and 0.07 ms, and a host some times that.
constexpr std::uint32_t kFloodRows = 4096;
constexpr std::uint32_t kModestRows = 512;
constexpr std::uint32_t kColumns = 1024;
constexpr std::uint64_t kBytes = std::uint64_t{4} * kFloodRows * kColumns;

struct Figures {
  std::atomic<std::uint64_t> flood_cycles{0};
  std::atomic<std::uint64_t> flood_jobs{0};
  std::atomic<unsigned> threads{0};  ///< that run
  std::uint64_t modest_jobs = 0;
  std::uint64_t modest_late = 0;
  std::uint64_t modest_longest_ns = 0;
};
constinit Figures figures;
constinit std::uint64_t end_ns = 0;
constinit std::unique_ptr<ml::Memory> memory;

std::unique_ptr<npu::Job> make_job(std::uint32_t rows) {
  abi::npu::Command copy{};
  copy.opcode = static_cast<std::uint16_t>(abi::npu::Opcode::Copy);
  copy.dims[0] = rows;
  copy.dims[1] = kColumns;
  copy.operands[0].region = copy.operands[1].region = memory->handle();
  copy.operands[1].offset = kBytes;
  auto job = npu::Job::make(1);
  kernel::require(job.has_value() && (*job)->add(copy) == kernel::Status::Ok, "no memory for a job");
  (*job)->options.deadline_ns = npu::JobOptions::kNoDeadline;
  (*job)->options.priority = abi::npu::Priority::High;
  return std::move(*job);
}

void flood(void*) {
  const auto job = make_job(kFloodRows);
  while (arch::clock_now_ns() < end_ns) {
    kernel::require(npu::npu().run(*job).has_value() && job->end().ok(), "a job of the flood failed");
    figures.flood_cycles.fetch_add(job->end().cycles, std::memory_order_relaxed);
    figures.flood_jobs.fetch_add(1, std::memory_order_relaxed);
  }
  figures.threads.fetch_sub(1);
}

void be_modest(void*) {
  const auto job = make_job(kModestRows);
  for (std::uint64_t release = arch::clock_now_ns(); release < end_ns; release += kModest.period) {
    threads::sleep_until(release);
    const std::uint64_t submitted_ns = arch::clock_now_ns();
    kernel::require(npu::npu().run(*job).has_value() && job->end().ok(), "a modest job failed");
    const std::uint64_t took_ns = arch::clock_now_ns() - submitted_ns;
    ++figures.modest_jobs;
    figures.modest_longest_ns = std::max(figures.modest_longest_ns, took_ns);
    figures.modest_late += took_ns > kModest.period ? 1 : 0;
  }
  figures.threads.fetch_sub(1);
}

/// One measurement: the flood in its server, or in none.
void measure(sched::Server* server) {
  figures.flood_cycles = figures.flood_jobs = 0;
  figures.modest_jobs = figures.modest_late = figures.modest_longest_ns = 0;
  const std::uint64_t throttled = npu::metrics().throttled.value();
  const std::uint64_t begin_ns = arch::clock_now_ns();
  end_ns = begin_ns + kRunNs;
  figures.threads = kFlooders + 1;
  for (unsigned i = 0; i < kFlooders; ++i) {
    const auto thread = threads::spawn({.name = "flood", .cpu = 1, .server = server}, flood, nullptr);
    kernel::require(thread.has_value(), "no memory for the flood");
  }
  kernel::require(
      threads::spawn({.name = "modest", .cpu = 1, .server = &modest_server}, be_modest, nullptr).has_value(),
      "no memory for the modest one");
  while (figures.threads != 0) {
    threads::sleep_for(kMs);
  }
  constexpr std::uint64_t kUs = 1000;
  const std::uint64_t cycles_per_us = npu::npu().info().clock_hz / 1'000'000;
  kernel::log_error(
      "SHARE flood={} elapsed_us={} flood_us={} flood_jobs={} throttled={} modest_jobs={} modest_late={} "
      "modest_longest_us={}",
      server != nullptr ? "server" : "free", (arch::clock_now_ns() - begin_ns) / kUs,
      figures.flood_cycles.load() / cycles_per_us, figures.flood_jobs.load(),
      npu::metrics().throttled.value() - throttled, figures.modest_jobs, figures.modest_late,
      figures.modest_longest_ns / kUs);
}

void share(void*) {
  auto made = ml::Memory::make(2 * kBytes);
  kernel::require(made.has_value() && (*made)->enlist(npu::npu(), ml::Memory::kReadWrite).has_value(),
                  "no memory for the tensors");
  memory = std::move(*made);
  measure(nullptr);
  measure(&flood_server);
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  start_monitored(machine, start_npu);
  start_watchdog();
  for (sched::Server* const server : {&flood_server, &modest_server}) {
    kernel::require(threads::find_dispatcher(1)->admissions().admit(*server).verdict == sched::Verdict::Admitted,
                    "a server is not admitted");
  }
  kernel::require(threads::spawn({.name = "share", .cpu = 1}, share, nullptr).has_value(), "no second CPU");
  idle();
}

}  // namespace guest
