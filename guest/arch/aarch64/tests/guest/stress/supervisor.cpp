#include "supervisor.hpp"

#include <algorithm>
#include <optional>

#include "abi/console.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/panic.hpp"
#include "levels.hpp"
#include "questions.hpp"
#include "shared.hpp"

namespace guest::stress {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kTickNs = 20 * kMs;

// ---- servers

constexpr std::uint32_t kServersPerCpu = 4;
constexpr std::uint32_t kThreadsPerServer = 3;
constinit std::optional<sched::Server> servers[kernel::kMaxCpus * kServersPerCpu];

sched::ServerParameters random_parameters(Random& random) {
  sched::ServerParameters parameters;
  parameters.period = static_cast<sched::Time>(random.between(10 * kMs, 200 * kMs));
  parameters.deadline = random.one_in(2) ? parameters.period : parameters.period - parameters.period / 4;
  parameters.budget = parameters.deadline * static_cast<sched::Time>(random.between(5, 30)) / 100;
  parameters.depletion = random.one_in(2) ? sched::Depletion::Soft : sched::Depletion::Hard;
  parameters.reclaim = parameters.depletion == sched::Depletion::Hard && random.one_in(2);
  return parameters;
}

/// As many as the bound allows; the first slots are theirs.
void admit_servers(Random& random) {
  std::uint32_t slot = 0;
  for (std::uint32_t id = 0; id < arch::cpu_count() * kServersPerCpu; ++id) {
    const std::uint32_t cpu = id % arch::cpu_count();
    sched::Server& server = servers[id].emplace(id + 1, random_parameters(random));
    if (threads::find_dispatcher(cpu)->admissions().admit(server).verdict != sched::Verdict::Admitted) {
      servers[id].reset();
      continue;
    }
    for (std::uint32_t i = 0; i < kThreadsPerServer && slot < kThreads; ++i) {
      slots[slot].server = &server;
      slots[slot++].cpu = cpu;
    }
  }
}

void remove_servers() {
  for (std::uint32_t id = 0; id < arch::cpu_count() * kServersPerCpu; ++id) {
    if (servers[id]) {
      const auto remove = [](void* server) {
        threads::Dispatcher& here = threads::dispatcher();
        here.admissions().remove(*static_cast<sched::Server*>(server), here.now());
      };
      if (!threads::call_on(id % arch::cpu_count(), remove, &*servers[id])) {
        fail("CPU {} has gone", id % arch::cpu_count());
      }
      servers[id].reset();
    }
  }
}

/// The supervisor's own: what it waits for is in no server that repays, as whoever has it inherits its deadline.
constinit sched::Server supervisor_server{
    1'000, {.budget = 2 * kMs, .period = 20 * kMs, .deadline = 20 * kMs, .depletion = sched::Depletion::Soft}};

// ---- looking after the threads, and after who does

constinit std::atomic<std::uint64_t> looked_ns{0};

void look_after_supervisor(void* timer) {
  const std::uint64_t at_ns = now_ns();
  if (at_ns > looked_ns.load(std::memory_order_relaxed) + limit_ns()) {
    kernel::panic_at(kernel::here(), "LOST WAKE-UP: of the supervisor, seed {}", options.seed);
  }
  kernel::timers().arm(*static_cast<kernel::Timer*>(timer), at_ns + 1'000 * kMs);
}
constinit kernel::Timer supervisor_timer{look_after_supervisor, &supervisor_timer};

void look_after(Slot& slot) {
  const std::uint64_t since_ns = slot.since_ns.load(std::memory_order_relaxed);
  const std::uint64_t at_ns = now_ns();
  if (at_ns > since_ns + 3 * limit_ns() && !is_in_use(slot) && !slot.thread->gone()) {
    fail("LOST WAKE-UP: the thread in slot {} ({}) is in '{} {}' for {} ms, {}", slot.index, slot.thread->name(),
         slot.what.load(std::memory_order_relaxed), slot.which.load(std::memory_order_relaxed),
         (at_ns - since_ns) / kMs, slot.thread->state());
  }
}

/// Of those that nobody is about to replace.
void look_after_all() {
  for (Slot& slot : slots) {
    if (!slot.claimed.exchange(true, std::memory_order_acquire)) {
      look_after(slot);
      slot.claimed.store(false, std::memory_order_release);
    }
  }
}

/// Looks at the server whose turn it is.
void note_repayment() {
  static constinit std::uint32_t turn = 0;
  turn = (turn + 1) % (arch::cpu_count() * kServersPerCpu);
  if (!servers[turn]) {
    return;
  }
  const auto look = [](void* of) {
    const sched::Server& server = *static_cast<const sched::Server*>(of);
    const sched::ServerParameters& parameters = server.cbs().parameters();
    // Some periods, and those that the overrun is worth.
    const sched::Time periods = 4 + 2 * (server.counters().max_overrun / parameters.budget);
    const auto repaid_ns = static_cast<std::uint64_t>(periods * parameters.period);
    repayment_ns.store(std::max(repayment_ns.load(), repaid_ns));
  };
  if (!threads::call_on(turn % arch::cpu_count(), look, &*servers[turn])) {
    fail("CPU {} has gone", turn % arch::cpu_count());
  }
}

void tick() {
  looked_ns.store(now_ns(), std::memory_order_relaxed);
  note_repayment();
  for (std::uint32_t gate = 0; gate < kGates; ++gate) {
    open_gate(gate);
  }
  look_after_all();
  (void)sleep(kTickNs);
}

bool is_gone(Slot& slot) {
  // Somebody may still be about to replace it.
  if (slot.claimed.exchange(true, std::memory_order_acquire)) {
    return false;
  }
  const bool gone = slot.thread->gone();
  slot.claimed.store(false, std::memory_order_release);
  return gone;
}

// ---- the test

void start_all(Random& random) {
  for (std::uint32_t i = 0; i < kThreads; ++i) {
    slots[i].index = i;
    slots[i].random = Random(random.next());
    start(slots[i]);
    slots[i].claimed.store(false, std::memory_order_release);
  }
}

void run_for(std::uint64_t duration_ns, Random& random) {
  const std::uint64_t end_ns = now_ns() + duration_ns;
  while (now_ns() < end_ns) {
    tick();
    // Those with low numbers, too, which others seldom or never kill.
    if (figures.kills.load() == 0 || random.one_in(10)) {
      (void)replace(slots[random.index(kThreads)]);
    }
  }
}

/// Nobody is asked to stop: that would wake a thread whose wake-up was lost.
void end_all() {
  running.store(false);
  while (!std::ranges::all_of(slots, is_gone)) {
    tick();
  }
  for (Slot& slot : slots) {
    slot.thread->join();
    slot.thread = {};
  }
}

void print_summary(std::uint64_t took_ns) {
  std::uint64_t switches = 0;
  for (std::uint32_t cpu = 0; cpu < arch::cpu_count(); ++cpu) {
    switches += threads::find_dispatcher(cpu)->switches();
  }
  kernel::log_error(
      "STRESS ok seed={} cpus={} guest_seconds={} threads={} kills={} actions={} locks={} waits={} timeouts={} "
      "starved={} repayment_ms={} sleeps={} ipis={} allocations={} switches={}",
      options.seed, arch::cpu_count(), took_ns / (1'000 * kMs), figures.threads.load(), figures.kills.load(),
      figures.actions.load(), figures.locks.load(), figures.waits.load(), figures.timeouts.load(),
      figures.starved.load(), repayment_ns.load() / kMs, figures.sleeps.load(), figures.ipis.load(),
      figures.allocations.load(), switches);
}

}  // namespace

sched::Server& admit_supervisor() {
  const sched::Admission admission = threads::find_dispatcher(0)->admissions().admit(supervisor_server);
  kernel::require(admission.verdict == sched::Verdict::Admitted, "the supervisor's server is not admitted");
  return supervisor_server;
}

void supervise(void*) {
  looked_ns.store(now_ns());
  kernel::timers().arm(supervisor_timer, now_ns());
  const std::uint64_t heap_blocks = kernel::kernel_heap().statistics().live_blocks;
  const Levels before = read_levels(heap_blocks);
  Random random(options.seed);
  admit_servers(random);
  const std::uint64_t begun_ns = now_ns();
  start_all(random);
  run_for(options.seconds * 1'000 * kMs, random);
  end_all();
  const std::uint64_t took_ns = now_ns() - begun_ns;
  settle_questions();
  settle_accounts();
  settle_blocks();
  remove_servers();
  looked_ns.store(now_ns());
  compare(before, read_levels(heap_blocks));
  kernel::timers().cancel(supervisor_timer);
  print_summary(took_ns);
  arch::exit_machine(abi::console::kKindShutdown, 0);
}

}  // namespace guest::stress
