// Threads come and go in their slots.
#include "guest/arch/secondary.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "world.hpp"

namespace guest::stress {

void start(Slot& slot) {
  ++slot.generation;
  if (slot.server == nullptr) {
    slot.cpu = slot.random.index(arch::cpu_count());
  }
  kernel::FixedText<threads::ThreadOptions::kMaxName> name;
  kernel::format_to(name, "slot {} thread {}", slot.index, slot.generation);
  slot.begin("its beginning", 0);
  auto thread = threads::spawn({.name = name.view(), .cpu = slot.cpu, .server = slot.server}, act, &slot);
  if (!thread) {
    fail("no thread can be made: {}", thread.error());
  }
  count(figures.threads);
  slot.thread = *std::move(thread);
}

bool replace(Slot& slot) {
  // Acquire and release: what others have done with the slot is seen.
  if (slot.claimed.exchange(true, std::memory_order_acquire)) {
    return false;
  }
  // Not one that has ended by itself, as all do at the end.
  const bool replaced = running.load();
  if (replaced) {
    slot.thread->request_stop();
    slot.thread->join();
    count(figures.kills);
    start(slot);
  }
  slot.claimed.store(false, std::memory_order_release);
  return replaced;
}

}  // namespace guest::stress
