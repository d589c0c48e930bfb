// The constants of layout.h for C++.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/arch/layout.h"

namespace guest::arch {

inline constexpr std::uint64_t kDirectMapBase = SIS_DIRECT_MAP_BASE;
inline constexpr std::uint64_t kImageBase = SIS_IMAGE_BASE;
inline constexpr std::uint64_t kStackBase = SIS_STACK_BASE;
inline constexpr std::uint64_t kDtbBase = SIS_DTB_BASE;
inline constexpr std::uint64_t kDeviceBase = SIS_DEVICE_BASE;
inline constexpr std::uint64_t kDeviceEnd = SIS_DEVICE_END;
inline constexpr std::uint64_t kStackSize = SIS_STACK_SIZE;
inline constexpr std::uint64_t kStackSlot = SIS_STACK_SLOT;
inline constexpr std::uint64_t kMaxDtbBytes = 2 * 1024 * 1024;  // arm64 boot protocol, "Setup the device tree"

static_assert(kStackSize == std::uint64_t{1} << SIS_STACK_SHIFT && kStackSlot == 2 * kStackSize);
static_assert(kStackBase % kStackSlot == 0);

/// Stack slots, by number. Boot and Overflow are the boot CPU's.
enum class StackSlot : std::uint64_t { Boot = SIS_STACK_SLOT_BOOT, Overflow = SIS_STACK_SLOT_OVERFLOW };

constexpr StackSlot cpu_stack_slot(std::uint32_t cpu) {
  return StackSlot{SIS_STACK_SLOT_BOOT + std::uint64_t{SIS_STACK_SLOTS_PER_CPU} * cpu};
}
constexpr StackSlot overflow_stack_slot(std::uint32_t cpu) {
  return StackSlot{SIS_STACK_SLOT_OVERFLOW + std::uint64_t{SIS_STACK_SLOTS_PER_CPU} * cpu};
}
constexpr StackSlot thread_stack_slot(std::uint32_t index) { return StackSlot{SIS_STACK_SLOT_THREADS + index}; }
static_assert(cpu_stack_slot(0) == StackSlot::Boot && overflow_stack_slot(0) == StackSlot::Overflow);

constexpr std::uint64_t stack_bottom(StackSlot slot) {
  return kStackBase + static_cast<std::uint64_t>(slot) * kStackSlot;
}
constexpr std::uint64_t stack_top(StackSlot slot) { return stack_bottom(slot) + kStackSize; }

}  // namespace guest::arch
