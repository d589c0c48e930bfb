// Threads' registers and stacks (guest/kernel/threads/context.hpp).
#include "guest/kernel/threads/context.hpp"

#include <bit>

#include "guest/arch/cpu.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/fp.hpp"
#include "guest/arch/layout.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/smp.hpp"
#include "guest/arch/user.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/spin_lock.hpp"

extern "C" const char thread_start[];  // switch.S, as switch_context()

namespace guest::arch {
namespace {

/// Threads at a time.
constexpr std::uint32_t kMaxThreads = 1024;
constexpr unsigned kStackOrder = std::bit_width(kStackSize / kPageBytes) - 1;

constinit kernel::SpinLock slots_lock{"stack slots", kernel::LockRank::Threads};
constinit std::uint64_t slots_in_use[kMaxThreads / 64] = {};

/// False: all are in use.
bool take_slot(std::uint32_t& index) {
  const kernel::SpinGuard guard(slots_lock);
  for (std::uint32_t word = 0; word < kMaxThreads / 64; ++word) {
    if (~slots_in_use[word] != 0) {
      const auto bit = static_cast<std::uint32_t>(std::countr_one(slots_in_use[word]));
      slots_in_use[word] |= std::uint64_t{1} << bit;
      index = word * 64 + bit;
      return true;
    }
  }
  return false;
}

void give_slot(std::uint32_t index) {
  const kernel::SpinGuard guard(slots_lock);
  slots_in_use[index / 64] &= ~(std::uint64_t{1} << (index % 64));
}

/// The registers that switch.S saves, at the stack pointer.
struct SavedRegisters {
  std::uint64_t fp;
  std::uint64_t lr;
  std::uint64_t x19_to_x28[10];
};
static_assert(sizeof(SavedRegisters) == 96);

}  // namespace
}  // namespace guest::arch

namespace guest::threads {

void adopt_stack(Context& context) {
  const arch::CpuLocal& cpu = arch::this_cpu();
  context.stack_bottom = cpu.stack_bottom;
  context.stack_top = cpu.stack_top;
  arch::adopt_fp(context);
}

void switch_extras(Context& from, Context& to) {
  arch::switch_fp(from, to);
  arch::switch_address_space(from, to);
  arch::isb();  // what either of them has written holds from here on
}

void drop_extras(Context& context) {
  arch::drop_fp(context);
  kernel::require(context.user == nullptr, "a thread ends that still runs a user task");
}

bool allocate_stack(Context& context) {
  std::uint32_t index = 0;
  if (!arch::take_slot(index)) {
    return false;
  }
  const arch::StackSlot slot = arch::thread_stack_slot(index);
  const auto block = kernel::kernel_pages().allocate(arch::kStackOrder);
  if (!block || arch::map_stack(slot, kernel::raw(*block)) != arch::MapStatus::Ok) {
    if (block) {
      kernel::kernel_pages().free(*block);
    }
    arch::give_slot(index);
    return false;
  }
  context = {.stack_pointer = 0, .stack_bottom = arch::stack_bottom(slot), .stack_top = arch::stack_top(slot)};
  return true;
}

void free_stack(Context& context) {
  const std::uint64_t slot = (context.stack_bottom - arch::kStackBase) / arch::kStackSlot;
  const std::uint64_t pa = arch::kernel_translation(context.stack_bottom).pa;
  arch::unmap_stack(arch::StackSlot{slot});
  kernel::kernel_pages().free(kernel::PhysAddr{pa});
  arch::give_slot(static_cast<std::uint32_t>(slot - SIS_STACK_SLOT_THREADS));
  context = {};
}

void make_context(Context& context, void (*entry)()) {
  context.fp = arch::make_fp_state(context.stack_top);
  // The stack is empty but for that.
  auto* const saved = reinterpret_cast<arch::SavedRegisters*>(context.fp) - 1;
  *saved = {.fp = 0,
            .lr = reinterpret_cast<std::uint64_t>(thread_start),
            .x19_to_x28 = {reinterpret_cast<std::uint64_t>(entry)}};
  context.stack_pointer = reinterpret_cast<std::uint64_t>(saved);
}

bool call_on(std::uint32_t cpu, kernel::CallFunction function, void* context) {
  return arch::smp::call_and_wait(cpu, function, context);
}

void spin() { asm volatile("" : : : "memory"); }

void kick(std::uint32_t cpu) { arch::send_ipi(cpu, arch::Ipi::Wake); }

}  // namespace guest::threads
