#include "boot_threads.hpp"

#include <optional>

#include "boot_watchdog.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/fp.hpp"
#include "guest/arch/stolen_time.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/work.hpp"

namespace guest {
namespace {

constinit std::optional<threads::Dispatcher> dispatchers[kernel::kMaxCpus];
constinit threads::ThreadRef work_thread;

void run_work(void*) {
  kernel::work_queue().run([] { threads::dispatcher().park(); });
}

}  // namespace

void start_threads_here(sched::Ppm bound) {
  dispatchers[kernel::cpu_index()].emplace(kernel::timers(), bound, arch::find_stolen_time_here());
}

void start_work_thread() {
  auto thread = threads::spawn({.name = "work", .cpu = kernel::cpu_index()}, run_work, nullptr);
  kernel::require(thread.has_value(), "no memory for the thread of the work queue");
  work_thread = *std::move(thread);
  kernel::work_queue().set_wake([] {
    threads::Waking waking;
    waking.unpark(*work_thread);
  });
}

void idle() {
  arch::drop_fp_here();
  // Masked interrupts end the sleep too. What they wake runs before this thread goes on, so none is slept through.
  for (;;) {
    arch::mask_irq();
    do {
      arch::wfi();
    } while (watchdog().beat_in_idle());
    arch::unmask_irq();
  }
}

}  // namespace guest
