#include "shared.hpp"

#include <algorithm>
#include <utility>

#include "guest/kernel/threads/condition.hpp"
#include "guest/kernel/threads/mutex.hpp"

namespace guest::stress {
namespace {

using threads::WaitResult;

struct Counted {
  threads::Mutex mutex;
  // Of the mutex; not atomic, it is what keeps them right.
  std::uint64_t entered = 0;
  std::uint64_t left = 0;
  // For who looks from outside.
  std::atomic<bool> inside{false};
  std::atomic<std::uint64_t> left_ns{0};
};
constexpr std::uint32_t kCounted = 16;
constinit Counted all_counted[kCounted] = {};

struct Pool {
  static constexpr std::uint32_t kTokens = 3;
  threads::Semaphore tokens{kTokens};
  std::atomic<std::uint32_t> in_use{0};
};
constexpr std::uint32_t kPools = 8;
constinit Pool pools[kPools] = {};

/// Whoever gives it back hands it to one that waits, if there is one: nobody who comes later can be faster, so a
/// wake-up that is lost stops the baton, and no later one hides it.
struct Baton {
  threads::Mutex mutex;
  threads::Condition handed;
  // Of the mutex.
  bool free = true;
  bool given = false;  ///< to one of those that wait
  std::uint64_t given_ns = 0;
  std::uint32_t waiting = 0;  ///< those included that are asked to stop and do not know it yet
  std::uint64_t handovers = 0;
  std::uint32_t asked = 0;  ///< of those that wait: they did so at the last handover
};
constexpr std::uint32_t kBatons = 3;
constinit Baton batons[kBatons] = {};

/// It is opened again only when all who waited for the last time have passed: a wake-up that is lost closes it for
/// ever.
struct Gate {
  threads::Mutex mutex;
  threads::Condition opened;
  // Of the mutex.
  std::uint64_t openings = 0;
  std::uint32_t waiting = 0;
  std::uint32_t passing = 0;  ///< of those that wait: the gate has been opened for them
  std::uint64_t opened_ns = 0;
};
constinit Gate gates[kGates] = {};

constinit threads::Semaphore silence;

constexpr std::string_view kMutex = "mutex";
constexpr std::string_view kBaton = "baton";

void count_starved(WaitResult result) {
  if (result == WaitResult::TimedOut) {
    count(figures.starved);
  }
}

void enter(Counted& counted, std::uint32_t number) {
  if (counted.entered != counted.left) {
    fail("mutex {}: entered {} times, left {} times, and somebody enters", number, counted.entered, counted.left);
  }
  ++counted.entered;
  counted.inside.store(true, std::memory_order_relaxed);
  count(figures.locks);
}

void leave(Counted& counted, std::uint32_t number) {
  ++counted.left;
  counted.left_ns.store(now_ns(), std::memory_order_relaxed);
  counted.inside.store(false, std::memory_order_relaxed);
  if (counted.entered != counted.left) {
    fail("mutex {}: entered {} times, left {} times, and somebody leaves", number, counted.entered, counted.left);
  }
}

void lock(Slot& slot, std::uint32_t number) {
  slot.begin(kMutex, number);
  const std::uint64_t begun_ns = now_ns();
  all_counted[number].mutex.lock();
  // However long others had it.
  check_woken(kMutex, number, std::max(begun_ns, all_counted[number].left_ns.load(std::memory_order_relaxed)));
  enter(all_counted[number], number);
}

void unlock(std::uint32_t number) {
  leave(all_counted[number], number);
  all_counted[number].mutex.unlock();
}

/// The baton goes to one that waits, or to whoever comes.
void hand_on(Baton& baton) {
  baton.free = baton.waiting == 0;
  baton.given = !baton.free;
  baton.given_ns = now_ns();
  baton.asked = baton.waiting;
  ++baton.handovers;
  baton.handed.notify_one();
}

/// A thread that waited since there were `seen` handovers is to stop. When all who could have been woken are, nobody
/// was.
void leave_baton(Baton& baton, std::uint64_t seen) {
  if (baton.given && baton.handovers != seen && --baton.asked == 0) {
    hand_on(baton);
  }
}

/// False: the thread is to stop, and does not have it.
bool take_baton(Baton& baton, std::uint32_t number) {
  const threads::MutexGuard guard(baton.mutex);
  if (std::exchange(baton.free, false)) {
    return true;
  }
  const std::uint64_t seen = baton.handovers;
  ++baton.waiting;
  const WaitResult result = baton.handed.wait(baton.mutex, wait_end_ns());
  --baton.waiting;
  if (result != WaitResult::Signalled) {
    if (baton.given) {
      check_woken(kBaton, number, baton.given_ns);
    }
    count_starved(result);
    leave_baton(baton, seen);
    return false;
  }
  if (!std::exchange(baton.given, false)) {
    fail("baton {}: woken without it", number);
  }
  check_woken(kBaton, number, baton.given_ns);
  count(figures.waits);
  return true;
}

void give_baton(Baton& baton, std::uint32_t number) {
  const threads::MutexGuard guard(baton.mutex);
  if (baton.free || baton.given) {
    fail("baton {}: it is there twice", number);
  }
  hand_on(baton);
}

}  // namespace

void spin_for(std::uint64_t duration_ns) {
  const std::uint64_t end_ns = now_ns() + duration_ns;
  while (now_ns() < end_ns) {
    threads::spin();
  }
}

void hold(Slot& slot) {
  switch (slot.random.below(8)) {
    case 0:
      threads::yield();
      break;
    case 1:
      (void)sleep(slot.random.between(1, 1 + options.pause_us * 100));
      break;
    case 2:
      spin_for(slot.random.below(50'000));
      break;
    default:
      break;
  }
}

void lock_one(Slot& slot) {
  const std::uint32_t number = slot.random.index(kCounted);
  lock(slot, number);
  hold(slot);
  unlock(number);
}

void lock_two(Slot& slot) {
  const std::uint32_t first = slot.random.index(kCounted - 1);
  const auto second = static_cast<std::uint32_t>(slot.random.between(first + 1, kCounted - 1));
  lock(slot, first);
  hold(slot);
  lock(slot, second);
  hold(slot);
  unlock(second);
  unlock(first);
}

void use_pool(Slot& slot) {
  const std::uint32_t number = slot.random.index(kPools);
  Pool& pool = pools[number];
  slot.begin("semaphore", number);
  const std::uint64_t end_ns = wait_end_ns();
  const WaitResult result = pool.tokens.wait(end_ns);
  if (result != WaitResult::Signalled) {
    count_starved(result);
    return;
  }
  // One that was signalled and not woken is woken at the end.
  if (now_ns() >= end_ns) {
    fail("LOST WAKE-UP: has semaphore {}, and noticed it at the end of the wait", number);
  }
  count(figures.waits);
  if (pool.in_use.fetch_add(1) >= Pool::kTokens) {
    fail("semaphore {}: more than {} are in use", number, Pool::kTokens);
  }
  hold(slot);
  pool.in_use.fetch_sub(1);
  pool.tokens.signal();
}

void use_baton(Slot& slot) {
  const std::uint32_t number = slot.random.index(kBatons);
  slot.begin(kBaton, number);
  if (take_baton(batons[number], number)) {
    hold(slot);
    give_baton(batons[number], number);
  }
}

void pass_gate(Slot& slot) {
  const std::uint32_t number = slot.random.index(kGates);
  Gate& gate = gates[number];
  slot.begin("gate", number);
  const threads::MutexGuard guard(gate.mutex);
  const std::uint64_t seen = gate.openings;
  ++gate.waiting;
  const WaitResult result = gate.opened.wait(gate.mutex, wait_end_ns());
  if (gate.passing != 0) {
    check_woken("gate", number, gate.opened_ns);
  }
  --gate.waiting;
  const bool opened = gate.openings != seen;
  if (result == WaitResult::Signalled && !opened) {
    fail("gate {}: woken, and it is closed", number);
  }
  if (opened) {
    --gate.passing;
    count(figures.waits);
  }
}

void open_gate(std::uint32_t number) {
  Gate& gate = gates[number];
  const threads::MutexGuard guard(gate.mutex);
  if (gate.passing != 0 || gate.waiting == 0) {
    return;
  }
  gate.passing = gate.waiting;
  ++gate.openings;
  gate.opened_ns = now_ns();
  if (options.lose != 0 && gate.openings == 10) {
    gate.opened.notify_one();
  } else {
    gate.opened.notify_all();
  }
}

void open_some_gate(Slot& slot) { open_gate(slot.random.index(kGates)); }

void wait_in_vain(Slot& slot) {
  slot.begin("nothing", 0);
  const std::uint64_t end_ns = now_ns() + slot.random.below(options.pause_us * 1'000);
  const WaitResult result = silence.wait(end_ns);
  const std::uint64_t ended_ns = now_ns();
  if (result == WaitResult::Signalled) {
    fail("a semaphore was signalled by nobody");
  }
  if (result == WaitResult::Stopped) {
    return;
  }
  count(figures.timeouts);
  if (ended_ns < end_ns) {
    fail("a wait timed out {} ns too early", end_ns - ended_ns);
  }
  check_wait("a time limit", 0, end_ns);
}

bool is_in_use(const Slot& slot) {
  if (slot.what.load(std::memory_order_relaxed) != kMutex.data()) {
    return false;
  }
  const Counted& counted = all_counted[slot.which.load(std::memory_order_relaxed)];
  return counted.inside.load(std::memory_order_relaxed) ||
         now_ns() < counted.left_ns.load(std::memory_order_relaxed) + limit_ns();
}

void settle_accounts() {
  std::uint64_t entered = 0;
  for (std::uint32_t i = 0; i < kCounted; ++i) {
    lock(slots[0], i);
    unlock(i);
    entered += all_counted[i].entered;
  }
  if (const std::uint64_t counted = figures.locks.load(); entered != counted) {
    fail("mutexes: {} times entered, {} counted", entered, counted);
  }
  for (std::uint32_t i = 0; i < kPools; ++i) {
    std::uint32_t tokens = 0;
    while (pools[i].tokens.try_wait()) {
      ++tokens;
    }
    if (tokens != Pool::kTokens || pools[i].in_use.load() != 0) {
      fail("semaphore {}: {} tokens, {} in use, there were {}", i, tokens, pools[i].in_use.load(), Pool::kTokens);
    }
  }
  for (std::uint32_t i = 0; i < kBatons; ++i) {
    if (!batons[i].free || batons[i].given || batons[i].waiting != 0) {
      fail("baton {}: free {}, given {}, {} wait", i, batons[i].free, batons[i].given, batons[i].waiting);
    }
  }
  for (std::uint32_t i = 0; i < kGates; ++i) {
    if (gates[i].waiting != 0 || gates[i].passing != 0) {
      fail("gate {}: {} wait, {} pass", i, gates[i].waiting, gates[i].passing);
    }
  }
}

}  // namespace guest::stress
