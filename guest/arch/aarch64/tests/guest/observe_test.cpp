// Checks of what the kernel observes of itself, on hardware: an image of its own, run by tests/guest/test_observe.py.
// Prints "TEST <name> ok" or "TEST <name> FAILED: <line>" and exits with the number of failures; with the boot argument
// "trace" it traces some interrupts instead and prints the events.
#include "abi/console.hpp"
#include "boot_console.hpp"
#include "boot_interrupts.hpp"
#include "boot_memory.hpp"
#include "checks.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/pmu.hpp"
#include "guest/arch/psci.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/timer.hpp"
#include "guest/kernel/trace.hpp"

namespace guest {
namespace {

using kernel::TraceEvent;
using kernel::TraceReader;
using kernel::TraceType;

constinit kernel::MachineInfo machine;

/// The other CPUs record events of which each word tells the others while this is set.
constinit std::atomic<bool> recording{false};

std::uint64_t word(std::uint64_t first, std::uint64_t salt) { return first * 0x9e37'79b9'7f4a'7c15 + salt; }

void secondary_main() {
  for (std::uint32_t i = 0;;) {
    // Many at a time: a CPU that pauses hands over to the next one where emulation runs in one thread.
    for (unsigned left = 100; left > 0 && recording.load(); --left, ++i) {
      kernel::trace().record(TraceType::Throttle, i, word(i, 3), word(i, 5));
    }
    kernel::spin_pause();
  }
}

/// The newest event of `type` on `cpu` with this first argument; its time, or 0.
std::uint64_t time_of(TraceType type, std::uint32_t cpu, std::uint64_t first) {
  TraceReader reader(kernel::trace());
  for (TraceEvent event; reader.next(event);) {
    if (event.type == type && event.cpu == cpu && event.arguments[0] == first) {
      return event.time_ns;
    }
  }
  return 0;
}

unsigned calls_between_cpus_are_traced_on_both() {
  constexpr auto kCall = static_cast<std::uint32_t>(arch::Ipi::Call);
  for (std::uint32_t cpu = 0; cpu < arch::cpu_count(); ++cpu) {
    kernel::trace().clear();
    kernel::trace().set_on(true);
    EXPECT(arch::smp::call_and_wait(cpu, [](void*) {}, nullptr));
    const std::uint64_t give_up_ns = arch::clock_now_ns() + 10'000'000'000;
    // The call is answered before its interrupt ends.
    while (time_of(TraceType::InterruptExit, cpu, kCall) == 0) {
      EXPECT(arch::clock_now_ns() < give_up_ns);
      kernel::spin_pause();
    }
    kernel::trace().set_on(false);
    const std::uint64_t sent_ns = time_of(TraceType::IpiSend, 0, cpu);
    const std::uint64_t entered_ns = time_of(TraceType::InterruptEnter, cpu, kCall);
    EXPECT(sent_ns != 0 && entered_ns >= sent_ns);
  }
  return 0;
}

unsigned no_event_is_torn_while_other_cpus_record() {
  kernel::trace().clear();
  kernel::trace().set_on(true);
  recording.store(true);
  std::uint64_t seen = 0;
  const std::uint64_t give_up_ns = arch::clock_now_ns() + 30'000'000'000;
  // Until every ring has gone round.
  for (std::uint32_t cpu = 1; cpu < arch::cpu_count();) {
    TraceReader reader(kernel::trace());
    std::uint64_t last_ns = ~std::uint64_t{0};
    for (TraceEvent event; reader.next(event);) {
      EXPECT(event.time_ns <= last_ns);
      last_ns = event.time_ns;
      if (event.type == TraceType::Throttle) {
        EXPECT(event.arguments[1] == word(event.arguments[0], 3) && event.arguments[2] == word(event.arguments[0], 5));
        ++seen;
      }
    }
    // And some have been seen: a reader that its host lets wait finds that all were overwritten meanwhile.
    cpu += kernel::trace().fill(cpu).overwritten > 0 && seen >= kernel::Trace::kEvents * cpu ? 1 : 0;
    EXPECT(arch::clock_now_ns() < give_up_ns);
    kernel::spin_pause();
  }
  recording.store(false);
  kernel::trace().set_on(false);
  return 0;
}

constexpr std::uint64_t kLoops = 10'000;

/// Two instructions a turn.
void loop(std::uint64_t turns) { asm volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(turns) : : "cc"); }

/// The count of the event, or `missing`.
std::uint64_t count_of(const kernel::PmuReading& reading, std::string_view name, std::uint64_t missing) {
  for (const kernel::PmuCount& event : reading.events) {
    if (event.name == name) {
      return event.count;
    }
  }
  return missing;
}

/// test_observe.py knows which machine has what, and reads the metrics.
unsigned counters_rise_with_what_is_done_on_every_cpu() {
  for (std::uint32_t cpu = 0; cpu < arch::cpu_count(); ++cpu) {
    struct Readings {
      kernel::PmuReading before;
      kernel::PmuReading after;
    };
    static constinit Readings readings;
    EXPECT(arch::smp::call_and_wait(
        cpu,
        [](void* out) {
          static_cast<Readings*>(out)->before = arch::read_pmu_here();
          loop(kLoops);
          static_cast<Readings*>(out)->after = arch::read_pmu_here();
        },
        &readings));
    const bool has_pmu = readings.after.version != "none";
    EXPECT(has_pmu == (readings.after.cycles > readings.before.cycles));
    EXPECT(readings.after.events.size() <= readings.after.counters);
    kernel::log().metric("pmu", has_pmu ? 1 : 0);
    constexpr std::uint64_t kMissing = ~std::uint64_t{0};
    const std::uint64_t before = count_of(readings.before, "inst_retired", kMissing);
    if (before != kMissing) {
      const std::uint64_t retired = count_of(readings.after, "inst_retired", kMissing) - before;
      EXPECT(retired >= 2 * kLoops && retired < 2 * kLoops + 2'000);
      kernel::log().metric("pmu_inst_retired", retired);
    }
  }
  return 0;
}

constexpr NamedCheck kChecks[] = {
    {"calls_between_cpus_are_traced_on_both", calls_between_cpus_are_traced_on_both},
    {"no_event_is_torn_while_other_cpus_record", no_event_is_torn_while_other_cpus_record},
    {"counters_rise_with_what_is_done_on_every_cpu", counters_rise_with_what_is_done_on_every_cpu},
};

/// Timers whose deadlines have nothing to do with each other, and calls to every CPU.
void print_a_trace() {
  static constinit std::atomic<unsigned> fired{0};
  static constinit kernel::Timer timer([](void*) { fired.fetch_add(1); }, nullptr);
  kernel::trace().set_on(true);
  for (unsigned i = 1; i <= 8; ++i) {
    kernel::timers().arm(timer, arch::clock_now_ns() + 10'000 + std::uint64_t{7'919} * i);
    while (fired.load() < i) {
      kernel::spin_pause();
    }
    (void)arch::smp::call_and_wait(i % arch::cpu_count(), [](void*) {}, nullptr);
  }
  kernel::trace().set_on(false);
  kernel::Log::Line line(kernel::log());
  kernel::write_last_events(line, kernel::kMaxLastEvents);
}

arch::PsciConduit conduit() {
  return machine.psci == kernel::PsciMethod::Smc ? arch::PsciConduit::Smc : arch::PsciConduit::Hvc;
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  kernel::require(arch::init_clock(0), "the clock does not run");
  kernel::require(kernel::read_machine_info(arch::dtb(), machine).has_value(), "the device tree is not readable");
  arch::set_psci_conduit(conduit());
  kernel::require(start_console(machine.console) != nullptr, "no console");
  start_memory(machine);
  start_interrupts(machine);
  arch::start_ipis();
  arch::start_secondary_cpus(machine, secondary_main);
  arch::unmask_irq();
  kernel::require(kernel::trace().reserve(kernel::kernel_pages(), arch::virtual_timer(), arch::cpu_count()),
                  "no memory for the trace");
  if (machine.boot_arguments.view() == "trace") {
    print_a_trace();
    arch::exit_machine(abi::console::kKindShutdown, 0);
  }
  arch::exit_machine(abi::console::kKindShutdown, run_checks(kChecks));
}

}  // namespace guest
