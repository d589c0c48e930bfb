#include "guest/bench/machine/machine_benchmarks.hpp"

#include <atomic>
#include <bit>

#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/gic.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/timer.hpp"

namespace guest::bench {
namespace {

/// The software-generated interrupt that is the benchmarks' own.
constexpr kernel::IntId kProbe{0};
constexpr std::uint64_t kTimerDelayNs = 20'000;

/// When the handler ran, in ticks, or what else it measures; 0: not yet.
constinit std::atomic<std::uint64_t> answer{0};
/// CPUs on which the probe has a handler.
constinit std::uint32_t probed_cpus = 0;

void note_tick(void*) { answer.store(arch::counter(), std::memory_order_release); }

std::unexpected<std::string_view> cannot(std::string_view why) { return std::unexpected(why); }

/// Waits for the answer, until a second after `begin` at most.
Sample wait_for_answer(std::uint64_t begin) {
  for (;;) {
    if (const std::uint64_t value = answer.load(std::memory_order_acquire); value != 0) {
      return value;
    }
    if (kernel::tick_count() - begin > arch::clock_frequency_hz()) {
      return cannot("an interrupt did not come within a second");
    }
    kernel::spin_pause();
  }
}

/// The probe has its handler on this CPU and on `cpu`.
bool probe_reaches(std::uint32_t cpu) {
  if (probed_cpus == 0) {
    if (!kernel::interrupts().attach(kProbe, kernel::Trigger::Edge, "benchmark", note_tick, nullptr)) {
      return false;
    }
    probed_cpus = std::uint32_t{1} << kernel::cpu_index();
  }
  const std::uint32_t bit = std::uint32_t{1} << cpu;
  if ((probed_cpus & bit) == 0 &&
      arch::smp::call_and_wait(cpu, [](void*) { (void)kernel::interrupts().enable_here(kProbe); }, nullptr)) {
    probed_cpus |= bit;
  }
  return (probed_cpus & bit) != 0;
}

/// The first other CPU, or this one where there is none.
std::uint32_t other_cpu() {
  const std::uint32_t self = kernel::cpu_index();
  const std::uint32_t others = arch::online_cpus() & ~(std::uint32_t{1} << self);
  return others == 0 ? self : static_cast<std::uint32_t>(std::countr_zero(others));
}

/// Where a sample ends.
enum class End : std::uint8_t {
  Handler,  ///< in the handler
  Sender,   ///< where the CPU that raised the interrupt sees what the handler wrote
};

/// All CPUs read one counter (Arm DDI 0487, "The system counter"), so times of two of them can be compared.
Sample raise_probe(std::uint32_t cpu, End end) {
  if (!probe_reaches(kernel::cpu_index()) || !probe_reaches(cpu)) {
    return cannot("the benchmarks' interrupt has no handler");
  }
  answer.store(0, std::memory_order_relaxed);
  const std::uint64_t begin = kernel::tick_count();
  arch::raise_software_interrupt(static_cast<std::uint32_t>(kProbe), cpu);
  const Sample handled = wait_for_answer(begin);
  if (!handled) {
    return handled;
  }
  return (end == End::Handler ? *handled : kernel::tick_count()) - begin;
}

Sample take_irq_entry(const Benchmark&) { return raise_probe(kernel::cpu_index(), End::Handler); }
Sample take_irq(const Benchmark&) { return raise_probe(kernel::cpu_index(), End::Sender); }

Sample take_timer(const Benchmark&) {
  // The comparator still holds what expired; the function runs before it is set anew.
  static constinit kernel::Timer timer(
      [](void*) {
        const std::uint64_t late = arch::counter() - arch::sysreg::CntvCvalEl0::read();
        answer.store(late + 1, std::memory_order_release);
      },
      nullptr);
  answer.store(0, std::memory_order_relaxed);
  kernel::TimerQueue& timers = kernel::timers();
  timers.arm(timer, timers.clock().now_ns() + kTimerDelayNs);
  const Sample late = wait_for_answer(kernel::tick_count());
  if (!late) {
    timers.cancel(timer);
    return late;
  }
  return *late - 1;
}

constexpr std::string_view kOneCpu = "there is only one CPU";

Sample take_ipi(const Benchmark&) {
  const std::uint32_t other = other_cpu();
  return other == kernel::cpu_index() ? cannot(kOneCpu) : raise_probe(other, End::Handler);
}

Sample take_ipi_answer(const Benchmark&) {
  const std::uint32_t other = other_cpu();
  return other == kernel::cpu_index() ? cannot(kOneCpu) : raise_probe(other, End::Sender);
}

Sample take_call(const Benchmark&) {
  const std::uint32_t other = other_cpu();
  if (other == kernel::cpu_index()) {
    return cannot(kOneCpu);
  }
  const std::uint64_t begin = kernel::tick_count();
  if (!arch::smp::call_and_wait(other, [](void*) {}, nullptr)) {
    return cannot("the other CPU went offline");
  }
  return kernel::tick_count() - begin;
}

constexpr Benchmark kBenchmarks[] = {
    {.name = "irq-entry",
     .measures = "before an interrupt is raised on this CPU to its handler",
     .own_interrupts = 1,
     .take = take_irq_entry},
    {.name = "irq",
     .measures = "before an interrupt is raised on this CPU to the code after it, with an empty handler",
     .own_interrupts = 1,
     .take = take_irq},
    {.name = "timer",
     .measures = "the expiry of a timer to its function in the interrupt",
     .own_interrupts = 1,
     .take = take_timer},
    {.name = "ipi", .measures = "before an interrupt is sent to another CPU to its handler there", .take = take_ipi},
    {.name = "ipi-answer",
     .measures = "the same to the moment when the sender sees what the handler wrote",
     .take = take_ipi_answer},
    {.name = "call", .measures = "a call of an empty function on another CPU, waiting for it", .take = take_call},
};

}  // namespace

std::span<const Benchmark> machine_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
