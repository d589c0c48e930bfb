// Who waits for a semaphore may end it when the wait returns, though the signaller, on another CPU, has just woken it
// and is not out of signal() yet. The waiter here does that, and leaves a pattern in the memory, which whatever the
// signaller writes later spoils:
//
//   CPU 0                                  CPU 1
//   signal() { lock; signalled; unpark     wait() returns
//              unlock }  <- too late?      ~Semaphore(); pattern
//   `left` = round                         await `left` == round; look at the pattern
//
// The signaller comes at a random moment: before the waiter sleeps, or later.
#include "passing.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include "abi/console.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/panic.hpp"
#include "world.hpp"

namespace guest::stress {
namespace {

constexpr std::byte kPattern{0xA5};

/// Where one semaphore after the other lives.
alignas(threads::Semaphore) constinit std::byte memory[sizeof(threads::Semaphore)] = {};

constinit std::atomic<threads::Semaphore*> offered{nullptr};  ///< that the signaller is to signal; null: not yet
constinit std::atomic<std::uint64_t> left{0};                 ///< signals that have returned

void wait_and_end(std::uint64_t round) {
  auto* const semaphore = new (memory) threads::Semaphore;
  // Release pairs with the acquire of the signaller: the semaphore is complete.
  offered.store(semaphore, std::memory_order_release);
  if (semaphore->wait() != threads::WaitResult::Signalled) {
    fail("a wait for a semaphore ended without a signal");
  }
  std::destroy_at(semaphore);
  std::ranges::fill(memory, kPattern);
  while (left.load(std::memory_order_acquire) != round) {
    kernel::spin_pause();
  }
  if (!std::ranges::all_of(memory, [](std::byte byte) { return byte == kPattern; })) {
    fail("a semaphore was written to after its end, by signal {}", round);
  }
}

void wait_and_end_all(void*) {
  for (std::uint64_t round = 1; round <= options.passing; ++round) {
    wait_and_end(round);
  }
}

}  // namespace

void run_passing(void*) {
  Random random(options.seed);
  const auto waiter = threads::spawn({.name = "waiter", .cpu = 1}, wait_and_end_all, nullptr);
  kernel::require(waiter.has_value(), "there is no second CPU");
  for (std::uint64_t round = 1; round <= options.passing; ++round) {
    threads::Semaphore* semaphore = nullptr;
    while ((semaphore = offered.exchange(nullptr, std::memory_order_acquire)) == nullptr) {
      kernel::spin_pause();
    }
    for (std::uint64_t pauses = random.below(2'000); pauses != 0; --pauses) {
      kernel::spin_pause();
    }
    semaphore->signal();
    left.store(round, std::memory_order_release);
  }
  (*waiter)->join();
  kernel::log_error("PASSING ok seed={} rounds={}", options.seed, options.passing);
  arch::exit_machine(abi::console::kKindShutdown, 0);
}

}  // namespace guest::stress
