// The NPU from a guest's threads, on the real device: an image of its own, run by tests/integration/test_npu_guest.py,
// whose scenario has the second command of the second job fail. Prints "TEST <name> ok" for each check, and what the
// trace has of one of them:
//
//   TIMELINE us=1234 npu-submit job=17 server=0 priority=3
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "abi/console.hpp"
#include "abi/npu_commands.hpp"
#include "boot_npu.hpp"
#include "checks.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/trace.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/simd/kernels.hpp"
#include "start_all_cpus.hpp"

namespace guest {
namespace {

using abi::npu::Command;
using abi::npu::Opcode;
using abi::npu::Priority;
using abi::npu::Reason;
using abi::npu::Status;
using npu::Job;
namespace dim = abi::npu::dim;

constinit kernel::MachineInfo machine;

constexpr std::uint32_t kReadWrite = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;
constexpr std::uint32_t kMillisecond = 1'000'000;

/// Two areas of f32, as a region that the device and the CPU know.
struct Numbers {
  static constexpr std::uint32_t kCount = 256 * 1024;  ///< in each area
  std::uint32_t* words = nullptr;                      ///< bits of f32
  std::uint32_t at_device = 0;
  std::uint32_t at_cpu = 0;
  [[nodiscard]] std::span<std::byte> bytes() const { return std::as_writable_bytes(std::span(words, 2 * kCount)); }
};
constinit Numbers numbers;
/// Modelled, of a copy of one area to the other.
constinit std::uint64_t copy_cycles = 0;
constinit std::optional<npu::CpuAccelerator> cpu;

/// Numbers of 1 to 2, and the other area 0.
void fill() {
  std::uint32_t state = 1;
  for (std::uint32_t i = 0; i < Numbers::kCount; ++i) {
    state = state * 1'664'525 + 1'013'904'223;
    numbers.words[i] = 0x3f80'0000 | state >> 9;
    numbers.words[Numbers::kCount + i] = 0;
  }
}

bool prepare() {
  numbers.words = static_cast<std::uint32_t*>(
      kernel::kernel_heap().allocate(2 * Numbers::kCount * sizeof(std::uint32_t), npu::RegionTable::kAlignment));
  kernel::require(numbers.words != nullptr, "no memory for numbers");
  cpu.emplace(::npu::simd_kernels());
  const auto at_device = npu::npu().register_region(numbers.bytes(), kReadWrite);
  const auto at_cpu = cpu->register_region(numbers.bytes(), kReadWrite);
  numbers.at_device = at_device.value_or(0);
  numbers.at_cpu = at_cpu.value_or(0);
  fill();
  return at_device && at_cpu && npu::npu().info().name == "device";
}

/// Ends a job that a check which failed leaves in flight.
struct EndJob {
  void operator()(Job* job) const {
    if (job->in_flight()) {
      npu::npu().end(*job);
    }
    delete job;
  }
};
using OwnedJob = std::unique_ptr<Job, EndJob>;

/// From the first area to the second.
Command one_to_two(Opcode opcode, std::uint32_t rows, std::uint32_t columns) {
  Command command{};
  command.opcode = static_cast<std::uint16_t>(opcode);
  command.operands[0].region = numbers.at_device;
  command.operands[0].offset = Numbers::kCount * sizeof(std::uint32_t);
  command.operands[1].region = numbers.at_device;
  command.dims[dim::kRows] = rows;
  command.dims[dim::kColumns] = columns;
  return command;
}

/// 2 MiB are moved.
Command copy() { return one_to_two(Opcode::Copy, 1, Numbers::kCount); }

/// The first area's begin as a matrix, times itself.
Command gemm(std::uint32_t size) {
  Command command = one_to_two(Opcode::Gemm, size, size);
  command.operands[2].region = numbers.at_device;
  command.dims[2] = size;
  return command;
}

OwnedJob job_of(std::uint32_t count, const Command& command) {
  auto made = Job::make(count);
  kernel::require(made.has_value(), "no memory for a job");
  OwnedJob job(made->release());
  for (std::uint32_t i = 0; i < count; ++i) {
    kernel::require(job->add(command) == kernel::Status::Ok, "no room in a job");
  }
  return job;
}

// ---- Checks, in this order: the device counts its jobs.

unsigned a_job_computes() {
  const auto job = job_of(1, copy());
  EXPECT(npu::npu().run(*job).has_value() && job->end().ok());
  EXPECT(std::equal(numbers.words, numbers.words + Numbers::kCount, numbers.words + Numbers::kCount));
  copy_cycles = job->end().cycles;
  EXPECT(copy_cycles > 10'000);
  return 0;
}

unsigned a_command_that_fails_is_told() {
  const auto job = job_of(3, copy());
  EXPECT(npu::npu().run(*job).has_value());
  EXPECT(job->end().status == Status::Injected && job->end().reason == Reason::FaultInjection);
  EXPECT(job->end().command == 1 && job->end().cycles == copy_cycles);
  EXPECT(npu::npu().run(*job).has_value() && job->end().ok());
  return 0;
}

/// The same command on the device and on the CPU: what they write, and what they say.
unsigned compare(Command command) {
  const auto at_device = job_of(1, command);
  for (auto& operand : command.operands) {
    operand.region = operand.region == numbers.at_device ? numbers.at_cpu : operand.region.value();
  }
  const auto at_cpu = job_of(1, command);
  fill();
  EXPECT(npu::npu().run(*at_device).has_value());
  auto* const copied = static_cast<std::uint32_t*>(kernel::kernel_heap().allocate(numbers.bytes().size()));
  EXPECT(copied != nullptr);
  std::memcpy(copied, numbers.words, numbers.bytes().size());
  fill();
  const bool ran = cpu->run(*at_cpu).has_value();
  const bool same = std::memcmp(copied, numbers.words, numbers.bytes().size()) == 0;
  kernel::kernel_heap().free(copied);
  EXPECT(ran && same);
  const npu::JobEnd& a = at_device->end();
  const npu::JobEnd& b = at_cpu->end();
  EXPECT(a.status == b.status && a.reason == b.reason && a.command == b.command);
  EXPECT(a.stream_offset == b.stream_offset && a.cycles == b.cycles);
  return 0;
}

unsigned device_and_cpu_compute_the_same_bytes() {
  for (const Command& command : {gemm(65), one_to_two(Opcode::Softmax, 7, 333), one_to_two(Opcode::Gelu, 3, 1001),
                                 one_to_two(Opcode::RmsNorm, 5, 257), copy()}) {
    if (const unsigned line = compare(command); line != 0) {
      return line;
    }
  }
  return 0;
}

unsigned device_and_cpu_refuse_the_same() {
  Command outside = copy();
  outside.operands[0].offset = outside.operands[0].offset + 4;
  Command unknown = copy();
  unknown.operands[1].region = 0x7fff'fff0;
  Command overlap = copy();
  overlap.operands[0].offset = 64;
  Command wrap = copy();
  wrap.operands[1].offset = ~std::uint64_t{3};
  Command opcode = copy();
  opcode.opcode = std::uint16_t{999};
  Command huge = copy();
  huge.dims[dim::kRows] = ~std::uint32_t{0};
  for (const Command& command : {outside, unknown, overlap, wrap, opcode, huge}) {
    if (const unsigned line = compare(command); line != 0) {
      return line;
    }
  }
  return 0;
}

unsigned an_abort_ends_a_job_that_runs() {
  const auto job = job_of(400, gemm(256));
  EXPECT(npu::npu().submit(*job).has_value());
  EXPECT(threads::sleep_for(kMillisecond));
  npu::npu().end(*job);
  EXPECT(job->end().status == Status::Aborted && job->end().command < 400);
  return 0;
}

constexpr std::size_t kLowJobs = 15;
constexpr std::uint32_t kLowCommands = 100;
constexpr std::size_t kLargeBytes = 16 * 1024 * 1024;  ///< of each half of a region

/// A command that takes some milliseconds of any host.
Command large_copy(std::uint32_t region) {
  Command command{};
  command.opcode = static_cast<std::uint16_t>(Opcode::Copy);
  command.operands[0].region = region;
  command.operands[0].offset = kLargeBytes;
  command.operands[1].region = region;
  command.dims[dim::kRows] = 1;
  command.dims[dim::kColumns] = kLargeBytes / sizeof(std::uint32_t);
  return command;
}

void print_timeline(kernel::TraceFollower& follower) {
  kernel::TraceEvent event{};
  while (follower.next(event)) {
    const bool submitted = event.type == kernel::TraceType::NpuSubmit;
    if (submitted || event.type == kernel::TraceType::NpuEnd) {
      kernel::log_error("TIMELINE us={} {} job={} {}={} {}={}", event.time_ns / 1000, kernel::describe(event.type).name,
                        event.arguments[1], submitted ? "server" : "status", event.arguments[0],
                        submitted ? "priority" : "cycles", event.arguments[2]);
    }
  }
}

/// Behind fifteen that take some 0.3 s each: a host that lets the device wait for less changes nothing.
unsigned a_critical_job_goes_first() {
  kernel::TraceFollower follower(kernel::trace());
  void* const large = kernel::kernel_heap().allocate(2 * kLargeBytes, npu::RegionTable::kAlignment);
  EXPECT(large != nullptr);
  const auto region = npu::npu().register_region({static_cast<std::byte*>(large), 2 * kLargeBytes}, kReadWrite);
  EXPECT(region.has_value());
  std::array<OwnedJob, kLowJobs> low;
  for (auto& job : low) {
    job = job_of(kLowCommands, large_copy(*region));
    job->options.priority = Priority::Low;
    EXPECT(npu::npu().submit(*job).has_value());
  }
  EXPECT(threads::sleep_for(kMillisecond));
  const auto critical = job_of(1, Command{});
  critical->options.priority = Priority::Critical;
  EXPECT(npu::npu().run(*critical).has_value() && critical->end().ok());
  const auto ended = std::ranges::count_if(low, [](const auto& job) { return !job->in_flight(); });
  std::uint32_t preemptions = 0;
  for (const auto& job : low) {
    npu::npu().end(*job);
    preemptions += job->end().preemptions;
  }
  print_timeline(follower);
  kernel::log_error("CRITICAL waited_us={} ended_before={} preemptions={}",
                    (critical->end().ended_ns - critical->end().submitted_ns) / 1000, ended, preemptions);
  EXPECT(npu::npu().release_region(*region).has_value());
  kernel::kernel_heap().free(large);
  EXPECT(ended <= 1 && preemptions >= 1);
  return 0;
}

// ---- Budgets

constexpr std::uint64_t kFloodNs = 1000 * std::uint64_t{kMillisecond};
/// Of the NPU 4 ms every 100 ms: five jobs of 0.8 ms, and a bit.
constexpr sched::ServerParameters kPromise{
    .budget = 4 * kMillisecond, .period = 100 * kMillisecond, .deadline = 100 * kMillisecond};
constexpr std::uint32_t kJobsOfABudget = 5;
constexpr std::size_t kFloodThreads = 8;
constinit std::optional<sched::Server> flood;
constinit std::optional<sched::Server> other;
constinit std::atomic<std::uint32_t> flooded{0};

OwnedJob job_of_a_fifth() {
  return job_of(static_cast<std::uint32_t>(850'000 / copy_cycles), copy());  // at 1 GHz
}

void flood_npu(void*) {
  const auto job = job_of_a_fifth();
  while (!threads::current_thread().stop_requested()) {
    if (npu::npu().run(*job) && job->end().ok()) {
      flooded.fetch_add(1, std::memory_order_relaxed);  // read when the threads are gone
    }
  }
}

struct Modest {
  std::uint32_t ended_well = 0;
  std::uint64_t longest_ns = 0;  ///< in submit()
};

void use_npu_now_and_then(void* argument) {
  Modest& modest = *static_cast<Modest*>(argument);
  const auto job = job_of_a_fifth();
  const std::uint64_t begin = arch::clock_now_ns();
  while (arch::clock_now_ns() - begin < kFloodNs) {
    const std::uint64_t before = arch::clock_now_ns();
    const bool taken = npu::npu().submit(*job).has_value();
    modest.longest_ns = std::max(modest.longest_ns, arch::clock_now_ns() - before);
    const bool ended = taken && job->wait() == threads::WaitResult::Signalled;
    modest.ended_well += ended && job->end().ok() ? 1 : 0;
    (void)threads::sleep_for(50 * kMillisecond);
  }
}

bool admit(std::optional<sched::Server>& server, std::uint32_t id) {
  server.emplace(id, kPromise);
  const kernel::CriticalSection section;
  return threads::dispatcher().admissions().admit(*server).verdict == sched::Verdict::Admitted;
}

unsigned a_flood_of_one_server_takes_nothing_of_anothers() {
  EXPECT(admit(flood, 1) && admit(other, 2));
  std::array<threads::ThreadRef, kFloodThreads> floods;
  for (threads::ThreadRef& thread : floods) {
    auto made = threads::spawn({.name = "flood", .cpu = kernel::cpu_index(), .server = &*flood}, flood_npu, nullptr);
    EXPECT(made.has_value());
    thread = *std::move(made);
  }
  Modest modest;
  const auto made =
      threads::spawn({.name = "other", .cpu = kernel::cpu_index(), .server = &*other}, use_npu_now_and_then, &modest);
  EXPECT(made.has_value());
  const std::uint64_t begin = arch::clock_now_ns();
  (*made)->join();
  for (const threads::ThreadRef& thread : floods) {
    thread->request_stop();
  }
  for (const threads::ThreadRef& thread : floods) {
    thread->join();
  }
  const std::uint64_t periods = (arch::clock_now_ns() - begin) / static_cast<std::uint64_t>(kPromise.period) + 1;
  kernel::log_error("FLOOD flooded={} periods={} other={} other_waited_us={}", flooded.load(), periods,
                    modest.ended_well, modest.longest_ns / 1000);
  EXPECT(flooded <= periods * kJobsOfABudget + kJobsOfABudget);
  // How long it waited is no check: what the host takes from this CPU is charged to the budget that it has there.
  EXPECT(modest.ended_well >= 10);
  return 0;
}

unsigned a_reset_ends_jobs_and_keeps_regions() {
  const auto job = job_of(400, gemm(256));
  EXPECT(npu::npu().submit(*job).has_value());
  EXPECT(npu::npu().reset().has_value());
  EXPECT(!job->in_flight() && job->end().status == Status::Reset);
  return a_job_computes();
}

constexpr NamedCheck kChecks[] = {
    {"a_job_computes", a_job_computes},
    {"a_command_that_fails_is_told", a_command_that_fails_is_told},
    {"device_and_cpu_compute_the_same_bytes", device_and_cpu_compute_the_same_bytes},
    {"device_and_cpu_refuse_the_same", device_and_cpu_refuse_the_same},
    {"an_abort_ends_a_job_that_runs", an_abort_ends_a_job_that_runs},
    {"a_critical_job_goes_first", a_critical_job_goes_first},
    {"a_flood_of_one_server_takes_nothing_of_anothers", a_flood_of_one_server_takes_nothing_of_anothers},
    {"a_reset_ends_jobs_and_keeps_regions", a_reset_ends_jobs_and_keeps_regions},
};

void run_all(void*) {
  kernel::require(prepare(), "there is no NPU");
  arch::exit_machine(abi::console::kKindShutdown, static_cast<std::uint8_t>(run_checks(kChecks)));
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  start_all_cpus(machine);
  start_npu(find_virtio(machine));
  kernel::require(kernel::trace().reserve(kernel::kernel_pages(), arch::virtual_timer(), arch::cpu_count()),
                  "no memory for the trace");
  kernel::trace().set_on(true);
  kernel::require(threads::spawn({.name = "checks", .cpu = 0}, run_all, nullptr).has_value(), "no thread");
  idle();
}

}  // namespace guest
