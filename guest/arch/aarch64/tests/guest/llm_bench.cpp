// How fast a language model is in the guest: an image of its own, run by tests/performance/llm_bench.py. The first
// model of the boot archive goes on, greedy, behind a prompt that says nothing, on the NPU or, where there is none, the
// CPU:
//
//   BENCH job npu=device best_ns=N median_ns=N
//   BENCH sample prompt=64 first_ns=N ns=N waited_ns=N ran_ns=N
//   BENCH tokens_ns N N N ...
//   BENCH said 17 4 4711 ...
//   BENCH instructions first=N token=N job=N
//
// `job` is one without commands, from its submission to its result. Of a sample `ns` is the time of all tokens behind
// the first one, `waited_ns` that of their jobs from submission to end, `ran_ns` that of their commands, and `best_ns`
// the time of the fastest token. Instructions are counted where the machine counts them (icount); there are no times
// then.
#include <algorithm>
#include <array>

#include "abi/console.hpp"
#include "archive_model.hpp"
#include "boot_npu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/pmu.hpp"
#include "guest/kernel/format.hpp"
#include "guest/llm/model/step.hpp"
#include "start_all_cpus.hpp"

namespace guest {
namespace {

/// What is measured, of the device and of the CPU, which is a thousand times as slow.
struct Plan {
  std::uint32_t prompt;
  std::uint32_t tokens;  ///< behind the first one
  std::uint32_t samples;
  std::uint64_t enough_ns;  ///< there are no more samples after this time
};
constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr Plan kDevicePlan{.prompt = 64, .tokens = 32, .samples = 8, .enough_ns = 2 * kSecond};
constexpr Plan kCpuPlan{.prompt = 2, .tokens = 4, .samples = 3, .enough_ns = 4 * kSecond};
constexpr std::uint32_t kMostTokens = 64;
constexpr std::uint32_t kJobs = 301;

constinit kernel::MachineInfo machine;

/// A thread that runs where nothing else does, so that instructions of waiting can be told from others, and a clock
/// that counts instructions does not jump.
constinit std::atomic<std::uint64_t> turns{0};
constexpr std::uint64_t kInstructionsPerTurn = 4;

void spin(void*) {
  // Four instructions, one thread that writes: load, add, store, branch.
  asm volatile(
      "1: ldr x9, [%0]\n"
      "   add x9, x9, #1\n"
      "   str x9, [%0]\n"
      "   b 1b\n"
      :
      : "r"(&turns)
      : "x9", "memory");
}

/// Instructions of this CPU besides those of spin(), modulo 2^32; nothing: the machine does not count them.
std::optional<std::uint32_t> instructions() {
  const kernel::PmuReading reading = arch::read_pmu_here();
  const auto* const found = std::ranges::find(reading.events, "inst_retired", &kernel::PmuCount::name);
  if (found == reading.events.end()) {
    return std::nullopt;
  }
  // Relaxed: the spinning thread is on this CPU.
  return static_cast<std::uint32_t>(found->count - kInstructionsPerTurn * turns.load(std::memory_order_relaxed));
}

/// The model that is measured, and what it needs.
struct Subject {
  std::unique_ptr<ml::Memory> weights = load_model(machine);
  gguf::File file = take(gguf::File::open(weights->bytes()));
  llm::Model model = take(llm::Model::read(file));
  std::unique_ptr<llm::Step> step = take(llm::Step::make(npu::npu(), model, weights->handle(), kMostTokens));
  std::unique_ptr<llm::Sequence> sequence = take(llm::Sequence::make(npu::npu(), model.shape()));

  /// The same prompt as the plain engine's (tests/performance/llm/main.cpp), so that the work is the same.
  std::uint32_t begin(const Plan& plan) {
    std::array<std::uint32_t, kMostTokens> prompt{};
    for (std::uint32_t i = 0; i < plan.prompt; ++i) {
      prompt[i] = (i * 7919 + 1) % model.shape().vocabulary;
    }
    sequence->truncate(0);
    take(step->run(*sequence, std::span(prompt).first(plan.prompt)));
    return step->best();
  }
  std::uint32_t next(std::uint32_t token) {
    take(step->run(*sequence, {&token, 1}));
    return step->best();
  }
};

void measure_job() {
  const auto job = npu::Job::make(1);
  kernel::require(job.has_value(), "no memory for a job");
  std::array<std::uint64_t, kJobs> times{};
  for (std::uint64_t& each : times) {
    const std::uint64_t begin_ns = arch::clock_now_ns();
    take(npu::npu().run(**job));
    each = arch::clock_now_ns() - begin_ns;
    kernel::require((*job)->end().ok(), "a job without commands failed");
  }
  std::ranges::sort(times);
  kernel::log_error("BENCH job npu={} best_ns={} median_ns={}", npu::npu().info().name, times.front(),
                    times[kJobs / 2]);
}

void measure_sample(Subject& subject, const Plan& plan) {
  kernel::FixedText<1024> said;
  kernel::FixedText<1024> times;
  const std::uint64_t begin_ns = arch::clock_now_ns();
  std::uint32_t token = subject.begin(plan);
  const std::uint64_t first_ns = arch::clock_now_ns();
  kernel::format_to(said, "{}", token);
  std::uint64_t waited_ns = 0;
  std::uint64_t ran_ns = 0;
  std::uint64_t sum_ns = 0;
  for (std::uint32_t i = 0; i < plan.tokens; ++i) {
    const std::uint64_t token_begin_ns = arch::clock_now_ns();
    token = subject.next(token);
    const std::uint64_t token_ns = arch::clock_now_ns() - token_begin_ns;
    const npu::JobEnd& end = subject.step->job().end();
    waited_ns += end.ended_ns - end.submitted_ns;
    ran_ns += end.run_ns;
    sum_ns += token_ns;
    kernel::format_to(times, " {}", token_ns);
    kernel::format_to(said, " {}", token);
  }
  kernel::log_error("BENCH sample prompt={} first_ns={} ns={} waited_ns={} ran_ns={}", plan.prompt, first_ns - begin_ns,
                    sum_ns, waited_ns, ran_ns);
  kernel::log_error("BENCH tokens_ns{}", times.view());
  kernel::log_error("BENCH said {}", said.view());
}

/// The least of some, since interrupts of others come now and then.
void count_instructions(Subject& subject, const Plan& plan) {
  constexpr std::uint32_t kTokens = 8;
  kernel::require(threads::spawn({.name = "spin", .cpu = 0}, spin, nullptr).has_value(), "no thread that spins");
  const auto job = npu::Job::make(1);
  kernel::require(job.has_value(), "no memory for a job");
  const auto least_of = [](std::uint32_t times, auto&& what) {
    std::uint32_t least = ~std::uint32_t{0};
    for (std::uint32_t i = 0; i < times; ++i) {
      const std::uint32_t before = instructions().value_or(0);
      what();
      least = std::min(least, instructions().value_or(0) - before);
    }
    return least;
  };
  std::uint32_t token = 0;
  const std::uint32_t first = least_of(2, [&] { token = subject.begin(plan); });
  const std::uint32_t each = least_of(kTokens, [&] { token = subject.next(token); });
  const std::uint32_t empty = least_of(kJobs, [&] { take(npu::npu().run(**job)); });
  kernel::log_error("BENCH instructions first={} token={} job={}", first, each, empty);
}

void measure(void*) {
  Subject subject;
  const Plan& plan = npu::npu().info().name == "device" ? kDevicePlan : kCpuPlan;
  if (instructions()) {
    count_instructions(subject, plan);
  } else {
    measure_job();
    const std::uint64_t begin_ns = arch::clock_now_ns();
    for (std::uint32_t i = 0; i < plan.samples && arch::clock_now_ns() - begin_ns < plan.enough_ns; ++i) {
      measure_sample(subject, plan);
    }
  }
  arch::exit_machine(abi::console::kKindShutdown, 0);
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  start_all_cpus(machine);
  start_npu(find_virtio(machine));
  kernel::require(threads::spawn({.name = "llm", .cpu = 0}, measure, nullptr).has_value(), "no thread for the model");
  idle();
}

}  // namespace guest
