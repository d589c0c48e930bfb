// What a thread of the stress test does: one action after the other, at random.
#include <iterator>

#include "questions.hpp"
#include "shared.hpp"

namespace guest::stress {
namespace {

void work(Slot& slot) {
  slot.begin("work", 0);
  spin_for(slot.random.below(300'000));
}

void yield_some_times(Slot& slot) {
  slot.begin("yield", 0);
  for (std::uint64_t i = slot.random.below(8); i != 0; --i) {
    threads::yield();
  }
}

/// FP registers keep what they hold while others run, and use them.
void use_fp(Slot& slot) {
  slot.begin("FP registers", 0);
  const std::uint64_t value = slot.random.next();
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  // The kernel is built without FP: nobody but such assembly uses the registers.
  asm volatile("fmov d8, %0\n\tfmov d31, %0" : : "r"(value));
  hold(slot);
  asm volatile("fmov %0, d8\n\tfmov %1, d31" : "=r"(first), "=r"(last));
  if (first != value || last != value) {
    fail("FP registers held {:#x}, now {:#x} and {:#x}", value, first, last);
  }
}

/// Only one with a higher number: threads that join each other in a circle would wait for ever.
void kill(Slot& slot) {
  if (slot.index + 1 < kThreads) {
    const auto victim = static_cast<std::uint32_t>(slot.random.between(slot.index + 1, kThreads - 1));
    slot.begin("the end of the thread in slot", victim);
    (void)replace(slots[victim]);
  }
}

struct Action {
  void (*take)(Slot& slot);
  std::uint32_t weight;
};
constexpr Action kActions[] = {
    {lock_one, 200}, {lock_two, 100},           {use_pool, 150},    {use_baton, 100},
    {pass_gate, 40}, {open_some_gate, 40},      {wait_in_vain, 60}, {pass_block_on, 200},
    {ask, 150},      {interrupt_some_cpu, 100}, {make_child, 30},   {work, 50},
    {use_fp, 50},    {yield_some_times, 50},    {kill, 1},
};

constexpr std::uint32_t total_weight() {
  std::uint32_t sum = 0;
  for (const Action& action : kActions) {
    sum += action.weight;
  }
  return sum;
}

void take_some_action(Slot& slot) {
  std::uint32_t left = slot.random.index(total_weight());
  const Action* action = std::begin(kActions);
  while (left >= action->weight) {
    left -= action->weight;
    ++action;
  }
  count(figures.actions);
  action->take(slot);
}

}  // namespace

void act(void* context) {
  Slot& slot = *static_cast<Slot*>(context);
  bool goes_on = await_answers(slot);
  while (goes_on && running.load(std::memory_order_relaxed)) {
    take_some_action(slot);
    slot.begin("a pause", 0);
    goes_on = sleep(slot.random.below(2'000 * options.pause_us));
  }
}

}  // namespace guest::stress
