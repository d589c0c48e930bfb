#include "boot_interrupts.hpp"

#include <optional>

#include "boot_error.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/gic.hpp"
#include "guest/kernel/timer.hpp"

namespace guest {
namespace {

constinit std::optional<kernel::TimerQueue> timer_queues[kernel::kMaxCpus];
constinit kernel::IntId timer_interrupt{};

arch::PhysicalRange range(kernel::PhysRange from) { return {.base = from.begin(), .bytes = from.size}; }

arch::GicStatus start_gic(const kernel::GicInfo& info) {
  if (info.version == 2) {
    return arch::init_gicv2(range(info.distributor), range(info.cpu_interface));
  }
  arch::PhysicalRange redistributors[decltype(info.redistributors)::capacity()];
  std::size_t count = 0;
  for (const kernel::PhysRange& region : info.redistributors) {
    redistributors[count++] = range(region);
  }
  return arch::init_gicv3(range(info.distributor), {redistributors, count}, info.redistributor_stride_bytes);
}

void make_timer_queue() {
  kernel::set_timers(timer_queues[kernel::cpu_index()].emplace(arch::virtual_timer(), kernel::work_queue()));
}

void start_timers(const kernel::MachineInfo& info) {
  if (!info.virtual_timer) {
    refuse_boot(kernel::fail("machine-no-timer", "no arm,armv8-timer node with a virtual timer interrupt").error());
  }
  timer_interrupt = info.virtual_timer->id;
  make_timer_queue();
  const bool attached = kernel::interrupts().attach(
      timer_interrupt, info.virtual_timer->trigger, "timer", [](void*) { kernel::cpu_data().timers->on_interrupt(); },
      nullptr);
  kernel::require(attached, "the timer's interrupt cannot be attached");
}

}  // namespace

void start_interrupts(const kernel::MachineInfo& info) {
  if (info.gic.version != 2 && info.gic.version != 3) {
    refuse_boot(kernel::fail("machine-no-gic", "no interrupt controller that is supported (GICv2, GICv3)").error());
  }
  if (const arch::GicStatus status = start_gic(info.gic); status != arch::GicStatus::Ok) {
    refuse_boot(kernel::fail("machine-bad-gic", "GICv{}: {}", info.gic.version, status).error());
  }
  start_timers(info);
  kernel::log().error("GIC: READY");
}

void start_timers_here() {
  make_timer_queue();
  kernel::require(kernel::interrupts().enable_here(timer_interrupt), "the timer's interrupt is not a CPU's own");
}

}  // namespace guest
