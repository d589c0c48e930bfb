// Checks of several CPUs at work: an image of its own, run by tests/guest/test_smp.py. Without boot arguments it prints
// "TEST <name> ok" or "TEST <name> FAILED: <line>" and exits with the number of failures; with one, the name of a way
// to die, it does that.
#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "abi/console.hpp"
#include "boot_console.hpp"
#include "boot_interrupts.hpp"
#include "boot_memory.hpp"
#include "checks.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/provoke.hpp"
#include "guest/arch/psci.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/work.hpp"

namespace guest {
namespace {

using arch::smp::call;
using arch::smp::call_and_wait;

constinit kernel::MachineInfo machine;

/// What all CPUs do at once, outside of interrupt handlers. The boot CPU joins in.
using Job = void (*)();
constinit std::atomic<Job> job{nullptr};
constinit std::atomic<std::uint32_t> started{0};  ///< jobs begun, of all CPUs
constinit std::atomic<std::uint32_t> finished{0};

void run_job(Job work) {
  // All begin at one moment, or the first would be done before the last begins.
  const std::uint32_t round = started.fetch_add(1) / arch::cpu_count();
  while (started.load() < (round + 1) * arch::cpu_count()) {
    kernel::spin_pause();
  }
  work();
  finished.fetch_add(1);
}

void secondary_main() {
  Job last = nullptr;
  for (;;) {
    const Job next = job.load();
    if (next != last && next != nullptr) {
      run_job(next);
    }
    last = next;
    kernel::spin_pause();
  }
}

/// Runs `work` on every CPU and returns when all are through.
void on_all_cpus(Job work) {
  const std::uint32_t before = finished.load();
  job.store(work);
  run_job(work);
  while (finished.load() < before + arch::cpu_count()) {
    kernel::spin_pause();
  }
  job.store(nullptr);
}

unsigned every_cpu_comes_online() {
  const std::uint32_t expected = std::min<std::uint32_t>(static_cast<std::uint32_t>(machine.cpus.size()), 8);
  EXPECT(arch::cpu_count() == expected);
  EXPECT(arch::online_cpus() == (std::uint32_t{1} << expected) - 1);
  return 0;
}

struct CpuFacts {
  std::uint32_t index;
  std::uint64_t mpidr;
  std::uint64_t ttbr0;
  std::uint64_t ttbr1;
  std::uint64_t tcr;
  std::uint64_t sctlr;
  std::uint64_t vbar;
  std::uint64_t sp;
  std::uint64_t cpacr;
  std::uint64_t cntkctl;
};

void note_facts(void* context) {
  std::uint64_t sctlr;
  asm volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
  *static_cast<CpuFacts*>(context) = {.index = arch::cpu_index(),
                                      .mpidr = arch::sysreg::MpidrEl1::read() & arch::mpidr_el1::kAffinityMask,
                                      .ttbr0 = arch::sysreg::Ttbr0El1::read(),
                                      .ttbr1 = arch::sysreg::Ttbr1El1::read(),
                                      .tcr = arch::sysreg::TcrEl1::read(),
                                      .sctlr = sctlr,
                                      .vbar = arch::sysreg::VbarEl1::read(),
                                      .sp = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)),
                                      .cpacr = arch::sysreg::CpacrEl1::read(),
                                      .cntkctl = arch::sysreg::CntkctlEl1::read()};
}

unsigned every_cpu_is_set_up_as_the_boot_cpu() {
  CpuFacts boot{};
  EXPECT(call_and_wait(0, note_facts, &boot));
  // No user task runs: TTBR0 walks end in a table without entries, the identity mapping is gone.
  EXPECT(arch::ttbr_el1::AsidBits::decode(boot.ttbr0) == 0 && !arch::tcr_el1::Epd0::decode(boot.tcr));
  const std::byte* const table = arch::direct(2 * arch::ttbr_el1::Baddr::decode(boot.ttbr0));
  EXPECT(std::all_of(table, table + arch::kPageBytes, [](std::byte byte) { return byte == std::byte{0}; }));
  for (std::uint32_t cpu = 1; cpu < arch::cpu_count(); ++cpu) {
    CpuFacts facts{};
    EXPECT(call_and_wait(cpu, note_facts, &facts));
    EXPECT(facts.index == cpu && facts.mpidr == arch::cpu_locals[cpu].mpidr && facts.mpidr != boot.mpidr);
    EXPECT(facts.ttbr0 == boot.ttbr0 && facts.ttbr1 == boot.ttbr1 && facts.tcr == boot.tcr);
    EXPECT(facts.cntkctl == boot.cntkctl);
    EXPECT(facts.sctlr == boot.sctlr && facts.vbar == boot.vbar && facts.cpacr == boot.cpacr);
    const arch::StackSlot slot = arch::cpu_stack_slot(cpu);
    EXPECT(facts.sp > arch::stack_bottom(slot) && facts.sp < arch::stack_top(slot));
  }
  return 0;
}

unsigned stacks_of_every_cpu_lie_between_unmapped_pages() {
  for (std::uint32_t cpu = 0; cpu < arch::cpu_count(); ++cpu) {
    for (const arch::StackSlot slot : {arch::cpu_stack_slot(cpu), arch::overflow_stack_slot(cpu)}) {
      EXPECT(arch::kernel_translation(arch::stack_bottom(slot)).attributes == arch::kReadWrite);
      EXPECT(arch::kernel_translation(arch::stack_top(slot) - 1).valid);
      EXPECT(!arch::kernel_translation(arch::stack_bottom(slot) - 1).valid);
      EXPECT(!arch::kernel_translation(arch::stack_top(slot)).valid);
    }
  }
  return 0;
}

constexpr std::uint32_t kCalls = 1'000;
/// [target][caller], written by the target only.
constinit std::uint32_t answers[kernel::kMaxCpus][kernel::kMaxCpus] = {};
constinit std::atomic<std::uint32_t> wrong_cpu{0};

struct Question {
  std::uint32_t target;
  std::uint32_t caller;
};

void answer(void* context) {
  const auto& question = *static_cast<const Question*>(context);
  if (arch::cpu_index() != question.target) {
    wrong_cpu.fetch_add(1);
  }
  ++answers[question.target][question.caller];
}

bool all_answered(std::uint32_t expected) {
  for (std::uint32_t target = 0; target < arch::cpu_count(); ++target) {
    for (std::uint32_t caller = 0; caller < arch::cpu_count(); ++caller) {
      if (answers[target][caller] != expected) {
        return false;
      }
    }
  }
  return wrong_cpu.load() == 0;
}

void clear_answers() {
  for (auto& row : answers) {
    for (std::uint32_t& count : row) {
      count = 0;
    }
  }
}

void ask_everyone_and_wait() {
  const std::uint32_t self = arch::cpu_index();
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    for (std::uint32_t target = 0; target < arch::cpu_count(); ++target) {
      Question question{target, self};
      while (!call_and_wait(target, answer, &question)) {
      }
    }
  }
}

/// All CPUs call all CPUs at once, themselves included.
unsigned every_cpu_answers_1000_calls_from_every_cpu() {
  clear_answers();
  on_all_cpus(ask_everyone_and_wait);
  EXPECT(all_answered(kCalls));
  return 0;
}

constinit Question questions[kernel::kMaxCpus][kernel::kMaxCpus] = {};

void ask_everyone_without_waiting() {
  const std::uint32_t self = arch::cpu_index();
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    for (std::uint32_t target = 0; target < arch::cpu_count(); ++target) {
      questions[target][self] = {target, self};
      while (!call(target, answer, &questions[target][self])) {
        kernel::spin_pause();  // the ring is full
      }
    }
  }
}

unsigned calls_without_waiting_all_arrive() {
  clear_answers();
  on_all_cpus(ask_everyone_without_waiting);
  const std::uint64_t give_up_ns = arch::clock_now_ns() + 10'000'000'000;
  while (!all_answered(kCalls) && arch::clock_now_ns() < give_up_ns) {
    asm volatile("" : : : "memory");  // answers change in handlers
  }
  EXPECT(all_answered(kCalls));
  return 0;
}

unsigned ipis_are_counted_on_both_sides() {
  const kernel::Interrupts& table = kernel::interrupts();
  for (std::uint32_t cpu = 1; cpu < arch::cpu_count(); ++cpu) {
    const std::uint64_t sent = arch::cpu_locals[0].ipis_sent.load();
    const std::uint64_t taken = table.software_taken(cpu);
    EXPECT(call_and_wait(cpu, [](void*) {}, nullptr));
    EXPECT(arch::cpu_locals[0].ipis_sent.load() == sent + 1 && table.software_taken(cpu) == taken + 1);
  }
  EXPECT(table.unhandled() == 0);
  return 0;
}

unsigned a_cpu_that_is_not_there_is_refused() {
  EXPECT(!call(arch::cpu_count(), [](void*) {}, nullptr) || arch::cpu_count() == kernel::kMaxCpus);
  EXPECT(!call_and_wait(kernel::kMaxCpus, [](void*) {}, nullptr));
  return 0;
}

constexpr std::uint32_t kRaises = 1'000;
constinit std::atomic<std::uint32_t> work_runs{0};
constinit kernel::WorkItem work_item([](void*) { work_runs.fetch_add(1); }, nullptr);

/// The boot CPU sleeps without a timer until another CPU raises work: a lost wake-up would let it sleep for ever.
unsigned work_that_another_cpu_raises_wakes_the_boot_cpu() {
  kernel::work_queue().set_wake([] {
    if (arch::cpu_index() != 0) {
      arch::send_ipi(0, arch::Ipi::Wake);
    }
  });
  work_runs = 0;
  on_all_cpus([] {
    if (arch::cpu_index() == 0) {
      while (arch::cpu_count() > 1 && work_runs.load() < kRaises) {
        arch::mask_irq();
        if (kernel::work_queue().empty()) {
          arch::wfi();
        }
        arch::unmask_irq();
        while (kernel::work_queue().run_one()) {
        }
      }
    } else if (arch::cpu_index() == 1) {
      for (std::uint32_t i = 0; i < kRaises; ++i) {
        kernel::work_queue().raise(work_item);
        while (work_runs.load() <= i) {
          kernel::spin_pause();
        }
      }
    }
  });
  EXPECT(work_runs.load() == (arch::cpu_count() > 1 ? kRaises : 0));
  return 0;
}

constinit std::atomic<std::uint32_t> damaged_blocks{0};

/// Blocks of many sizes, small and large, all CPUs at once: none is handed out twice, and all come back.
unsigned heap_and_pages_serve_all_cpus_at_once() {
  const kernel::HeapStatistics before = kernel::kernel_heap().statistics();
  const std::uint64_t pages_before = kernel::kernel_pages().statistics().used_pages;
  on_all_cpus([] {
    constexpr std::size_t kBlocks = 8;
    const auto mark = static_cast<unsigned char>(arch::cpu_index() + 1);
    for (std::size_t round = 0; round < 100; ++round) {
      unsigned char* blocks[kBlocks];
      for (std::size_t i = 0; i < kBlocks; ++i) {
        const std::size_t bytes = std::size_t{16} << ((round + i) % 12);
        blocks[i] = static_cast<unsigned char*>(kernel::kernel_heap().allocate(bytes));
        std::memset(blocks[i], mark, bytes);
      }
      for (std::size_t i = 0; i < kBlocks; ++i) {
        const std::size_t bytes = std::size_t{16} << ((round + i) % 12);
        if (!std::all_of(blocks[i], blocks[i] + bytes, [mark](unsigned char byte) { return byte == mark; })) {
          damaged_blocks.fetch_add(1);
        }
        kernel::kernel_heap().free(blocks[i]);
      }
    }
  });
  kernel::kernel_heap().trim();
  const kernel::HeapStatistics after = kernel::kernel_heap().statistics();
  EXPECT(damaged_blocks.load() == 0);
  EXPECT(after.live_blocks == before.live_blocks && after.live_bytes == before.live_bytes);
  EXPECT(after.allocations - before.allocations == std::uint64_t{800} * arch::cpu_count());
  EXPECT(kernel::kernel_pages().statistics().used_pages <= pages_before);
  return 0;
}

/// test_smp.py looks at the lines.
unsigned lines_of_all_cpus_are_written() {
  on_all_cpus([] {
    for (unsigned i = 0; i < 50; ++i) {
      kernel::log_error("LINE cpu={} number={} {:#018x} end", arch::cpu_index(), i, arch::this_cpu().mpidr);
    }
  });
  return 0;
}

constinit kernel::SpinLock shared_lock{"test", kernel::LockRank{1}};
constinit std::uint64_t shared_count = 0;  ///< not atomic: the lock is what keeps it right
constexpr std::uint64_t kLockRounds = 5'000;

unsigned spin_lock_holders_exclude_each_other() {
  shared_count = 0;
  on_all_cpus([] {
    for (std::uint64_t i = 0; i < kLockRounds; ++i) {
      const kernel::SpinGuard guard(shared_lock);
      shared_count = shared_count + 1;
    }
  });
  EXPECT(shared_count == kLockRounds * arch::cpu_count());
  return 0;
}

/// Under -icount shift=0 the figure is in instructions: the loop's own three included.
unsigned spin_lock_pair_is_measured() {
  constexpr std::uint64_t kPairs = 10'000;
  const std::uint64_t begin = arch::clock_now_ns();
  for (std::uint64_t i = 0; i < kPairs; ++i) {
    shared_lock.release(shared_lock.acquire());
  }
  const std::uint64_t took = arch::clock_now_ns() - begin;
  kernel::log().metric("spin_lock_pair_ns", took / kPairs);
  return 0;
}

constexpr NamedCheck kChecks[] = {
    {"every_cpu_comes_online", every_cpu_comes_online},
    {"every_cpu_is_set_up_as_the_boot_cpu", every_cpu_is_set_up_as_the_boot_cpu},
    {"stacks_of_every_cpu_lie_between_unmapped_pages", stacks_of_every_cpu_lie_between_unmapped_pages},
    {"every_cpu_answers_1000_calls_from_every_cpu", every_cpu_answers_1000_calls_from_every_cpu},
    {"calls_without_waiting_all_arrive", calls_without_waiting_all_arrive},
    {"ipis_are_counted_on_both_sides", ipis_are_counted_on_both_sides},
    {"a_cpu_that_is_not_there_is_refused", a_cpu_that_is_not_there_is_refused},
    {"spin_lock_holders_exclude_each_other", spin_lock_holders_exclude_each_other},
    {"work_that_another_cpu_raises_wakes_the_boot_cpu", work_that_another_cpu_raises_wakes_the_boot_cpu},
    {"heap_and_pages_serve_all_cpus_at_once", heap_and_pages_serve_all_cpus_at_once},
    {"lines_of_all_cpus_are_written", lines_of_all_cpus_are_written},
    {"spin_lock_pair_is_measured", spin_lock_pair_is_measured},
};

std::uint32_t last_cpu() { return arch::cpu_count() - 1; }

void provoke_on_last_cpu(arch::Fault fault) {
  static constinit arch::Fault wanted{};
  wanted = fault;
  (void)call_and_wait(last_cpu(), [](void*) { arch::provoke(wanted); }, nullptr);
}

/// The last CPU panics while the others write lines without end.
void panic_among_writers() {
  on_all_cpus([] {
    for (unsigned i = 0;; ++i) {
      if (i == 20 && arch::cpu_index() == last_cpu()) {
        kernel::panic("a panic among writers");
      }
      kernel::log_error("LINE cpu={} end", arch::cpu_index());
    }
  });
}

/// The last CPU keeps its interrupts masked and the log's lock for ever.
void panic_while_a_deaf_cpu_holds_the_log() {
  on_all_cpus([] {
    static constinit std::atomic<bool> held{false};
    if (arch::cpu_index() == last_cpu()) {
      kernel::Log::Line line(kernel::log());
      held.store(true);
      for (;;) {
        kernel::spin_pause();
      }
    }
    while (!held.load()) {
      kernel::spin_pause();
    }
    if (arch::cpu_index() == 0) {
      kernel::panic("a panic while the log is held");
    }
    for (;;) {
      kernel::spin_pause();
    }
  });
}

/// Every CPU gets here with its interrupts masked before any goes on: none can be stopped by the first.
void meet_with_interrupts_masked() {
  static constinit std::atomic<std::uint32_t> masked{0};
  arch::mask_irq();
  masked.fetch_add(1);
  while (masked.load() < arch::cpu_count()) {
    kernel::spin_pause();
  }
}

void panic_on_all_cpus() {
  on_all_cpus([] {
    meet_with_interrupts_masked();
    kernel::panic("every CPU panics");
  });
}

void shut_down_while_others_panic() {
  on_all_cpus([] {
    meet_with_interrupts_masked();
    if (arch::cpu_index() == 0) {
      arch::exit_machine(abi::console::kKindShutdown, 9);
    }
    kernel::panic("a panic beside a shutdown");
  });
}

constexpr struct {
  std::string_view name;
  void (*die)();
} kDeaths[] = {
    {"overflow", [] { provoke_on_last_cpu(arch::Fault::StackOverflow); }},
    {"null", [] { provoke_on_last_cpu(arch::Fault::Null); }},
    {"assert", [] { provoke_on_last_cpu(arch::Fault::Assert); }},
    {"boot-null", [] { arch::provoke(arch::Fault::Null); }},
    {"all-at-once", panic_on_all_cpus},
    {"among-writers", panic_among_writers},
    {"lock-held", panic_while_a_deaf_cpu_holds_the_log},
    {"shutdown-and-panic", shut_down_while_others_panic},
};

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
  for (const auto& [name, die] : kDeaths) {
    if (machine.boot_arguments.view() == name) {
      die();
      kernel::panic("the fault on another CPU did not stop the machine");
    }
  }
  arch::exit_machine(abi::console::kKindShutdown, run_checks(kChecks));
}

}  // namespace guest
