#include "questions.hpp"

#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::stress {
namespace {

constinit std::atomic<std::uint64_t> calls_run{0};

void answer(void* slot) {
  calls_run.fetch_add(1, std::memory_order_relaxed);
  static_cast<Slot*>(slot)->answers.signal();
}

void take_call(void*) { calls_run.fetch_add(1, std::memory_order_relaxed); }

/// What call_and_wait() is tried with; on the stack of who waits.
struct Visit {
  std::uint32_t target;
  bool arrived = false;
};

void arrive(void* context) {
  auto& visit = *static_cast<Visit*>(context);
  calls_run.fetch_add(1, std::memory_order_relaxed);
  // Not fail(): this is an interrupt handler.
  kernel::require(kernel::cpu_index() == visit.target, "a call has run on another CPU");
  visit.arrived = true;
}

/// A thread that lives shortly. `slot` waits for it; null: nobody does.
void child(void* slot) {
  (void)threads::sleep_for(1'000);
  if (slot != nullptr) {
    static_cast<Slot*>(slot)->answers.signal();
  }
  children.fetch_sub(1);
}

threads::ThreadRef spawn_child(Slot& slot, Slot* answer_to) {
  children.fetch_add(1);
  count(figures.threads);
  // On any CPU, or with the others in the slot's server.
  const bool in_server = slot.server != nullptr && slot.random.one_in(4);
  const std::uint32_t cpu = in_server ? slot.cpu : slot.random.index(arch::cpu_count());
  auto thread =
      threads::spawn({.name = "child", .cpu = cpu, .server = in_server ? slot.server : nullptr}, child, answer_to);
  if (!thread) {
    fail("no thread can be made: {}", thread.error());
  }
  return *std::move(thread);
}

void call_cpu(std::uint32_t cpu, kernel::CallFunction function, void* context) {
  count(figures.ipis);
  while (!arch::smp::call(cpu, function, context)) {
    threads::yield();  // the ring is full
  }
}

bool await_answer(Slot& slot) {
  const std::uint64_t begun_ns = now_ns();
  threads::WaitResult result = threads::WaitResult::TimedOut;
  while (result == threads::WaitResult::TimedOut) {
    result = slot.answers.wait(now_ns() + limit_ns());
    check_wait(slot.what.load(std::memory_order_relaxed), slot.which.load(std::memory_order_relaxed), begun_ns);
  }
  if (result == threads::WaitResult::Stopped) {
    return false;
  }
  --slot.owed;
  count(figures.waits);
  return true;
}

}  // namespace

void ask(Slot& slot) {
  ++slot.owed;
  const std::uint32_t cpu = slot.random.index(arch::cpu_count());
  switch (slot.random.below(3)) {
    case 0:
      slot.begin("an answer of CPU", cpu);
      call_cpu(cpu, answer, &slot);
      break;
    case 1:
      slot.begin("an answer of the timer of CPU", slot.cpu);
      kernel::timers().arm(slot.alarm, now_ns() + slot.random.below(options.pause_us * 1'000));
      break;
    default:
      slot.begin("an answer of a child", 0);
      (void)spawn_child(slot, &slot);
      break;
  }
  if (await_answer(slot) && slot.answers.try_wait()) {
    fail("one question has two answers: {} {}", slot.what.load(), slot.which.load());
  }
}

bool await_answers(Slot& slot) {
  slot.begin("an answer to the thread before", 0);
  while (slot.owed != 0) {
    if (!await_answer(slot)) {
      return false;
    }
  }
  return true;
}

void interrupt_some_cpu(Slot& slot) {
  const std::uint32_t cpu = slot.random.index(arch::cpu_count());
  slot.begin("a call of CPU", cpu);
  if (slot.random.one_in(2)) {
    call_cpu(cpu, take_call, nullptr);
    return;
  }
  count(figures.ipis);
  Visit visit{.target = cpu};
  const std::uint64_t begun_ns = now_ns();
  if (!arch::smp::call_and_wait(cpu, arrive, &visit) || !visit.arrived) {
    fail("CPU {} has not run a call that was waited for", cpu);
  }
  check_wait("a call of CPU", cpu, begun_ns);
}

void make_child(Slot& slot) {
  slot.begin("the end of a child", 0);
  const threads::ThreadRef thread = spawn_child(slot, nullptr);
  if (slot.random.one_in(2)) {
    const std::uint64_t begun_ns = now_ns();
    thread->join();
    check_wait("the end of a child", thread->id(), begun_ns);
    if (!thread->gone()) {
      fail("a child that was joined is there");
    }
  }
}

void settle_questions() {
  for (Slot& slot : slots) {
    if (!await_answers(slot) || slot.answers.try_wait() || slot.alarm.armed()) {
      fail("slot {}: an answer is left", slot.index);
    }
  }
  const std::uint64_t begun_ns = now_ns();
  while (children.load() != 0 || calls_run.load() != figures.ipis.load()) {
    (void)sleep(1'000'000);
    check_wait("the last children and calls", children.load(), begun_ns);
  }
}

}  // namespace guest::stress
