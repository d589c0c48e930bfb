// Threads that do everything that threads do, at random, on all CPUs: an image of its own, run by
// tests/guest/test_stress.py and `./sis soak stress`. Boot arguments: seed=N seconds=N.
//
// kSlots threads at a time lock mutexes, hand blocks of memory over to each other, ring each other's bells, sleep,
// yield, use FP registers, call functions on other CPUs, make threads, and end each other. Some run in servers. The
// supervisor replaces those that have ended. What is counted where it is given must be counted where it is taken, no
// wait may last longer than what it waits for, and in the end no memory is missing.
//
//   STRESS seed=1 seconds=10 threads=... ...   |   STRESS FAILED: <what> (seed 1)
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <memory>
#include <optional>

#include "abi/console.hpp"
#include "boot_console.hpp"
#include "boot_interrupts.hpp"
#include "boot_memory.hpp"
#include "boot_threads.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/psci.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/condition.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/threads.hpp"

namespace guest {
namespace {

constinit kernel::MachineInfo machine;

constexpr std::uint32_t kSlots = 200;
constexpr std::uint32_t kServersPerCpu = 4;
constexpr std::uint32_t kServerThreads = 64;  ///< of the slots, in servers
constexpr std::uint32_t kTokens = 24;
constexpr std::uint64_t kMs = 1'000'000;
/// No wait takes so long: what is waited for comes many times a second.
constexpr std::uint64_t kWaitLimit = 30'000 * kMs;
/// A waiter that was told so long ago must have noticed, whatever else runs.
constexpr std::uint64_t kNoticed = 10'000 * kMs;

std::uint64_t seed = 1;
std::uint64_t seconds = 10;

template <typename... Args>
[[noreturn]] void fail(kernel::format_detail::Checked<Args...> format, const Args&... args) {
  kernel::FixedText<200> what;
  kernel::format_to(what, format, args...);
  kernel::log_error("STRESS FAILED: {} (seed {})", what.view(), seed);
  arch::exit_machine(abi::console::kKindShutdown, 1);
}

/// Marsaglia, "Xorshift RNGs" (2003), with Vigna's multiplier.
class Random {
 public:
  explicit Random(std::uint64_t from) : state_(from * 0x9e37'79b9'7f4a'7c15 | 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545'f491'4f6c'dd1d;
  }
  /// Below `bound`, which is small.
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>((next() >> 32) % bound); }

 private:
  std::uint64_t state_;
};

using Count = std::atomic<std::uint64_t>;
void count(Count& of, std::uint64_t amount = 1) { of.fetch_add(amount, std::memory_order_relaxed); }

struct Totals {
  Count threads{0}, kills{0}, locks{0}, handed{0}, taken{0}, rung{0}, heard{0}, sleeps{0}, calls{0}, answered{0},
      children{0}, throttled{0};
};
constinit Totals totals;

// ---- what the threads share ----------------------------------------------------------------------------------------

/// Two numbers that are equal whenever nobody holds the mutex.
struct Guarded {
  threads::Mutex mutex;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};
constinit std::array<Guarded, 16> guarded;

struct Block {
  Block* next;
  std::uint32_t bytes;
  std::uint32_t check;
};

/// Blocks of memory that pass from thread to thread.
struct Box {
  threads::Mutex mutex;
  threads::Condition filled;
  Block* blocks = nullptr;
  std::uint32_t size = 0;
  std::uint64_t filled_since = 0;  ///< when it was empty last, and got one
};
constinit std::array<Box, 4> boxes;
constexpr std::uint32_t kBoxRoom = 32;

constinit threads::Semaphore tokens{kTokens};

struct Slot {
  threads::ThreadRef thread;
  threads::Semaphore bell;
  std::atomic<std::uint64_t> last_rung{0};
  std::atomic<std::uint64_t> steps{0};
  std::uint64_t steps_seen = 0;
  std::uint64_t seen_at = 0;
  std::uint32_t generation = 0;
  std::uint32_t index = 0;
  std::uint32_t cpu = 0;
  sched::Server* server = nullptr;
  /// What its thread does, for the report of one that is stuck.
  std::atomic<const char*> doing{"nothing"};
};
constinit std::array<Slot, kSlots> slots;
constinit threads::Mutex slots_mutex;  ///< of the references to threads

std::uint64_t now() { return arch::clock_now_ns(); }
bool stopped() { return threads::current_thread().stop_requested(); }

// ---- what a thread does --------------------------------------------------------------------------------------------

void lock_some(Random& random) {
  // Of two, the one with the lower number first.
  std::uint32_t a = random.below(static_cast<std::uint32_t>(guarded.size()));
  std::uint32_t b = random.below(static_cast<std::uint32_t>(guarded.size()));
  if (a > b) {
    std::swap(a, b);
  }
  const threads::MutexGuard outer(guarded[a].mutex);
  std::optional<threads::MutexGuard> inner;
  if (a != b) {
    inner.emplace(guarded[b].mutex);
  }
  for (Guarded* const of : {&guarded[a], &guarded[b]}) {
    if (of->first != of->second) {
      fail("a mutex did not keep others out: {} and {}", of->first, of->second);
    }
    ++of->first;
    switch (random.below(8)) {
      case 0:
        threads::yield();
        break;
      case 1:
        (void)threads::sleep_for(random.below(200) * 1000);
        break;
      default:
        break;
    }
    ++of->second;
  }
  count(totals.locks, a == b ? 1 : 2);
}

std::uint32_t check_of(const Block& block) { return block.bytes * 2'654'435'761U + 1; }

void hand_over(Random& random) {
  Box& box = boxes[random.below(static_cast<std::uint32_t>(boxes.size()))];
  const std::uint32_t bytes = static_cast<std::uint32_t>(sizeof(Block)) + random.below(2000);
  auto* const block = static_cast<Block*>(kernel::kernel_heap().allocate(bytes));
  if (block == nullptr) {
    fail("no memory for {} bytes", bytes);
  }
  block->bytes = bytes;
  block->check = check_of(*block);
  {
    const threads::MutexGuard guard(box.mutex);
    if (box.size < kBoxRoom) {
      if (box.size++ == 0) {
        box.filled_since = now();
      }
      block->next = box.blocks;
      box.blocks = block;
      box.filled.notify_one();
      count(totals.handed);
      return;
    }
  }
  kernel::kernel_heap().free(block);
}

void take_one(Random& random) {
  Box& box = boxes[random.below(static_cast<std::uint32_t>(boxes.size()))];
  Block* block = nullptr;
  {
    const threads::MutexGuard guard(box.mutex);
    const std::uint64_t limit = now() + kWaitLimit;
    while (box.blocks == nullptr) {
      const threads::WaitResult result = box.filled.wait(box.mutex, limit);
      if (result == threads::WaitResult::Stopped) {
        // Whoever it was told of may be another's.
        box.filled.notify_one();
        return;
      }
      if (result == threads::WaitResult::TimedOut && box.blocks != nullptr && now() - box.filled_since > kNoticed) {
        fail("lost wake-up: thread {} waited at a box that has {} blocks", threads::current_thread().id(), box.size);
      }
      if (result == threads::WaitResult::TimedOut && box.blocks == nullptr) {
        return;
      }
    }
    block = box.blocks;
    box.blocks = block->next;
    --box.size;
  }
  if (block->check != check_of(*block)) {
    fail("a block of memory has changed under way: {} bytes", block->bytes);
  }
  kernel::kernel_heap().free(block);
  count(totals.taken);
}

void borrow_token(Random& random) {
  switch (tokens.wait(now() + kWaitLimit)) {
    case threads::WaitResult::Signalled:
      (void)threads::sleep_for(random.below(2000) * 1000);
      tokens.signal();
      return;
    case threads::WaitResult::TimedOut:
      fail("thread {} got none of {} tokens for 30 s", threads::current_thread().id(), kTokens);
    case threads::WaitResult::Stopped:
      return;
  }
}

void ring(Random& random) {
  Slot& slot = slots[random.below(kSlots)];
  slot.last_rung.store(now(), std::memory_order_relaxed);
  count(totals.rung);
  slot.bell.signal();
}

void hear(Slot& slot) {
  const threads::WaitResult result = slot.bell.wait(now() + kWaitLimit);
  if (result == threads::WaitResult::Signalled) {
    count(totals.heard);
  } else if (result == threads::WaitResult::TimedOut && slot.bell.try_wait()) {
    if (now() - slot.last_rung.load(std::memory_order_relaxed) > kNoticed) {
      fail("lost wake-up: thread {} did not hear its bell", threads::current_thread().id());
    }
    count(totals.heard);
  }
}

void sleep_some(Random& random) {
  const std::uint64_t until = now() + random.below(60'000) * 1000;
  if (threads::sleep_until(until) && now() < until) {
    fail("a sleep ended {} ns early", until - now());
  }
  count(totals.sleeps);
}

void call_others(Random& random) {
  const std::uint32_t cpu = random.below(arch::cpu_count());
  count(totals.calls);
  if (random.below(2) == 0) {
    std::uint32_t answer = ~0U;
    if (!arch::smp::call_and_wait(
            cpu, [](void* out) { *static_cast<std::uint32_t*>(out) = arch::cpu_index(); }, &answer) ||
        answer != cpu) {
      fail("CPU {} answers as {}", cpu, answer);
    }
    count(totals.answered);
  } else if (!arch::smp::call(cpu, [](void*) { count(totals.answered); }, nullptr)) {
    count(totals.answered);  // the queue is full: not sent
  }
}

/// FP registers keep what they hold while others run and use them.
void use_fp(Random& random) {
  const std::uint64_t value = random.next();
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  asm volatile("fmov d8, %0\n\tfmov d31, %0" : : "r"(value));
  if (random.below(2) == 0) {
    threads::yield();
  } else {
    (void)threads::sleep_for(random.below(1000) * 1000);
  }
  asm volatile("fmov %0, d8\n\tfmov %1, d31" : "=r"(first), "=r"(last));
  if (first != value || last != value) {
    fail("FP registers held {:#x}, now {:#x} and {:#x}", value, first, last);
  }
}

void make_child(Random& random) {
  Count done{0};
  auto child = threads::spawn(
      {.name = "child", .cpu = random.below(arch::cpu_count())}, [](void* out) { count(*static_cast<Count*>(out)); },
      &done);
  if (!child) {
    fail("no memory for a thread");
  }
  (*child)->join();
  if (done.load(std::memory_order_relaxed) != 1) {
    fail("a child was joined that had not run");
  }
  count(totals.children);
}

void kill_one(Random& random) {
  threads::ThreadRef victim;
  {
    const threads::MutexGuard guard(slots_mutex);
    victim = slots[random.below(kSlots)].thread;
  }
  if (victim) {
    victim->request_stop();
    count(totals.kills);
  }
}

struct Action {
  const char* name;
  std::uint32_t weight;
  void (*run)(Random& random);
};
constexpr Action kActions[] = {
    {"locks", 20, lock_some},
    {"hands over", 14, hand_over},
    {"takes", 14, take_one},
    {"borrows", 8, borrow_token},
    {"rings", 14, ring},
    {"sleeps", 40, sleep_some},
    {"yields", 6, [](Random&) { threads::yield(); }},
    {"calls", 8, call_others},
    {"uses FP", 6, use_fp},
    {"makes a child", 1, make_child},
    {"kills", 1, kill_one},
};
constexpr std::uint32_t kHearWeight = 14;

constexpr std::uint32_t sum_of_weights() {
  std::uint32_t sum = kHearWeight;
  for (const Action& action : kActions) {
    sum += action.weight;
  }
  return sum;
}

void act(Slot& slot, Random& random) {
  std::uint32_t choice = random.below(sum_of_weights());
  for (const Action& action : kActions) {
    if (choice < action.weight) {
      slot.doing.store(action.name, std::memory_order_relaxed);
      action.run(random);
      return;
    }
    choice -= action.weight;
  }
  slot.doing.store("hears", std::memory_order_relaxed);
  hear(slot);
}

void run_slot(void* of) {
  Slot& slot = *static_cast<Slot*>(of);
  Random random(seed * 1'000'003 + slot.index * 4099 + slot.generation);
  while (!stopped()) {
    act(slot, random);
    count(slot.steps);
  }
}

// ---- the supervisor ------------------------------------------------------------------------------------------------

void start_slot(Slot& slot) {
  ++slot.generation;
  auto thread = threads::spawn({.name = "worker", .cpu = slot.cpu, .server = slot.server}, run_slot, &slot);
  if (!thread) {
    fail("no memory for a thread");
  }
  const threads::MutexGuard guard(slots_mutex);
  slot.thread = *std::move(thread);
  count(totals.threads);
}

bool gone(const Slot& slot) { return slot.thread->gone(); }

constinit std::array<std::optional<sched::Server>, kServersPerCpu * kernel::kMaxCpus> servers;

/// Budgets of a tenth to a seventh of each CPU, periods of 5 to 100 ms; every other one soft.
void admit_servers(Random& random) {
  for (std::uint32_t i = 0; i < kServersPerCpu * arch::cpu_count(); ++i) {
    const auto period = static_cast<sched::Time>((5 + random.below(95)) * kMs);
    const sched::Time budget = period / (7 + random.below(4));
    const sched::ServerParameters parameters{.budget = budget,
                                             .period = period,
                                             .deadline = random.below(2) == 0 ? period : budget * 6,
                                             .depletion = i % 2 == 0 ? sched::Depletion::Hard : sched::Depletion::Soft};
    servers[i].emplace(i, parameters);
    const sched::Admission admission = threads::find_dispatcher(i % arch::cpu_count())->admissions().admit(*servers[i]);
    if (admission.verdict != sched::Verdict::Admitted) {
      fail("a server is not admitted: {} of {}", admission.density, admission.bound - admission.admitted);
    }
  }
}

void start_all() {
  Random random(seed);
  admit_servers(random);
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    Slot& slot = slots[i];
    slot.index = i;
    slot.cpu = i % arch::cpu_count();
    slot.server = i < kServerThreads ? &*servers[i % (kServersPerCpu * arch::cpu_count())] : nullptr;
    slot.seen_at = now();
    start_slot(slot);
  }
}

/// One without progress for longer than any wait lasts. It must not be asleep; one that wants to run may be in a server
/// that repays what it has overrun: on a host that let the machine wait, that was the host's time.
void judge(Slot& slot) {
  struct Question {
    const sched::Server* server;
    bool throttled;
    sched::Time budget;
  } question{.server = slot.server, .throttled = false, .budget = 0};
  const threads::ThreadState state = threads::report(*slot.thread).state;
  if (state == threads::ThreadState::Exited) {
    return;
  }
  if (slot.server != nullptr) {
    const bool asked = threads::call_on(
        slot.cpu,
        [](void* of) {
          auto& [server, throttled, budget] = *static_cast<Question*>(of);
          throttled = server->cbs().throttled();
          budget = server->cbs().budget();
        },
        &question);
    kernel::require(asked, "a server's CPU has gone");
  }
  if (state != threads::ThreadState::Ready || !question.throttled) {
    fail("thread {} of CPU {} makes no progress: it {}, {}, in server {}, throttled {}, budget {} ns",
         slot.thread->id(), slot.cpu, std::string_view(slot.doing.load(std::memory_order_relaxed)), to_string(state),
         slot.server == nullptr ? -1 : static_cast<int>(slot.server->id()), static_cast<int>(question.throttled),
         question.budget);
  }
  count(totals.throttled);
  slot.seen_at = now();
}

/// Replaces those that have ended, and looks at the others.
void look_after(Slot& slot) {
  const std::uint64_t steps = slot.steps.load(std::memory_order_relaxed);
  if (gone(slot)) {
    slot.seen_at = now();
    start_slot(slot);
  } else if (steps != slot.steps_seen) {
    slot.steps_seen = steps;
    slot.seen_at = now();
  } else if (now() - slot.seen_at > 2 * kWaitLimit) {
    judge(slot);
  }
}

void stop_all() {
  for (Slot& slot : slots) {
    slot.thread->request_stop();
  }
  for (Slot& slot : slots) {
    slot.thread->join();
    const threads::MutexGuard guard(slots_mutex);
    slot.thread = {};
  }
  for (std::uint32_t i = 0; i < kServersPerCpu * arch::cpu_count(); ++i) {
    const bool called = threads::call_on(
        i % arch::cpu_count(),
        [](void* server) {
          threads::Dispatcher& here = threads::dispatcher();
          here.admissions().remove(*static_cast<sched::Server*>(server), here.now());
        },
        &*servers[i]);
    kernel::require(called, "a server's CPU has gone");
    servers[i].reset();
  }
}

std::uint64_t value(const Count& of) { return of.load(std::memory_order_relaxed); }

void expect_equal(std::string_view what, std::uint64_t given, std::uint64_t found) {
  if (given != found) {
    fail("{}: {} given, {} found", what, given, found);
  }
}

/// Everything that was given has been taken, or is still there.
void check_sums() {
  std::uint64_t left = 0;
  for (Box& box : boxes) {
    while (box.blocks != nullptr) {
      Block* const block = box.blocks;
      box.blocks = block->next;
      --box.size;
      kernel::kernel_heap().free(block);
      ++left;
    }
    expect_equal("blocks of a box", 0, box.size);
  }
  expect_equal("blocks", value(totals.handed), value(totals.taken) + left);
  for (left = 0; tokens.try_wait();) {
    ++left;
  }
  expect_equal("tokens", kTokens, left);
  left = 0;
  for (Slot& slot : slots) {
    while (slot.bell.try_wait()) {
      ++left;
    }
  }
  expect_equal("bells", value(totals.rung), value(totals.heard) + left);
  std::uint64_t locks = 0;
  for (const Guarded& of : guarded) {
    expect_equal("guarded numbers", of.first, of.second);
    locks += of.first;
  }
  expect_equal("calls", value(totals.calls), value(totals.answered));
  if (locks < value(totals.locks)) {
    fail("{} locks, {} changes under them", value(totals.locks), locks);
  }
}

struct Memory {
  std::uint64_t pages, blocks, bytes;
  bool operator==(const Memory&) const = default;
};

/// More threads at once than there will be: translation tables of stacks stay.
void warm_up() {
  threads::Semaphore gate;
  for (std::uint32_t i = 0; i < 2 * kSlots; ++i) {
    if (!threads::spawn(
            {.name = "first"}, [](void* of) { (void)static_cast<threads::Semaphore*>(of)->wait(); }, &gate)) {
      fail("no memory for {} threads", i + 1);
    }
  }
  for (std::uint32_t i = 0; i < 2 * kSlots; ++i) {
    gate.signal();
  }
  (void)threads::sleep_for(1000 * kMs);
}

/// When nothing is left to be buried, and without what the heap keeps for later.
Memory memory() {
  (void)threads::sleep_for(100 * kMs);
  kernel::kernel_heap().trim();
  const kernel::HeapStatistics heap = kernel::kernel_heap().statistics();
  return {
      .pages = kernel::kernel_pages().statistics().used_pages, .blocks = heap.live_blocks, .bytes = heap.live_bytes};
}

void supervise(void*) {
  warm_up();
  const Memory before = memory();
  const std::uint64_t end = now() + seconds * 1000 * kMs;
  start_all();
  while (now() < end) {
    for (Slot& slot : slots) {
      look_after(slot);
    }
    (void)threads::sleep_for(20 * kMs);
  }
  stop_all();
  check_sums();
  const Memory after = memory();
  if (after != before) {
    fail("memory: {} pages, {} blocks of {} bytes before, {} pages, {} blocks of {} bytes after", before.pages,
         before.blocks, before.bytes, after.pages, after.blocks, after.bytes);
  }
  kernel::log_error(
      "STRESS seed={} seconds={} threads={} kills={} locks={} blocks={} bells={} sleeps={} calls={} children={} "
      "throttled={} pages={}",
      seed, seconds, value(totals.threads), value(totals.kills), value(totals.locks), value(totals.handed),
      value(totals.rung), value(totals.sleeps), value(totals.calls), value(totals.children), value(totals.throttled),
      after.pages);
  arch::exit_machine(abi::console::kKindShutdown, 0);
}

/// "seed=N seconds=N", in any order; others are an error.
void read_arguments(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = std::min(word.find('='), word.size());
    std::uint64_t* const out = word.substr(0, equals) == "seed"      ? &seed
                               : word.substr(0, equals) == "seconds" ? &seconds
                                                                     : nullptr;
    const char* const from = word.data() + std::min(equals + 1, word.size());
    if (out == nullptr || std::from_chars(from, word.data() + word.size(), *out).ec != std::errc()) {
      kernel::panic_at(kernel::here(), "boot argument '{}': expected seed=N or seconds=N", kernel::escaped(word));
    }
  }
}

void secondary_main() {
  start_timers_here();
  start_threads_here(sched::kDefaultBound);
  idle();
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  kernel::require(arch::init_clock(0), "the clock does not run");
  kernel::require(kernel::read_machine_info(arch::dtb(), machine).has_value(), "the device tree is not readable");
  arch::set_psci_conduit(machine.psci == kernel::PsciMethod::Smc ? arch::PsciConduit::Smc : arch::PsciConduit::Hvc);
  kernel::require(start_console(machine.console) != nullptr, "no console");
  read_arguments(machine.boot_arguments.view());
  start_memory(machine);
  start_interrupts(machine);
  arch::start_ipis();
  start_threads_here(sched::kDefaultBound);
  start_work_thread();
  arch::start_secondary_cpus(machine, secondary_main);
  kernel::require(threads::spawn({.name = "supervisor"}, supervise, nullptr).has_value(), "no supervisor");
  idle();
}

}  // namespace guest
