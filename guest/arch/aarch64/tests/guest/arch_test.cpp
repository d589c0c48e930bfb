// Checks of the hardware layer that need the hardware: an image of its own, run by tests/guest/test_arch.py. Prints
// "TEST <name> ok" or "TEST <name> FAILED: <line>" and exits with the number of failures.
#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "abi/console.hpp"
#include "boot_console.hpp"
#include "boot_interrupts.hpp"
#include "checks.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/arch/layout.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/symbols.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/timer.hpp"
#include "image.hpp"

namespace guest {
namespace {

constinit kernel::MachineInfo machine;

// The functions under test are called through volatile pointers, so that the compiler does not expand them.
void* (*volatile copy)(void*, const void*, std::size_t) = std::memcpy;
void* (*volatile move)(void*, const void*, std::size_t) = std::memmove;
void* (*volatile fill)(void*, int, std::size_t) = std::memset;
int (*volatile compare)(const void*, const void*, std::size_t) = std::memcmp;

constexpr std::size_t kSize = 4096 + 256;
std::array<unsigned char, kSize> left;
std::array<unsigned char, kSize> right;

unsigned char pattern(std::size_t i) { return static_cast<unsigned char>(i * 7 + 3); }

void reset_buffers() {
  for (std::size_t i = 0; i < kSize; ++i) {
    left[i] = pattern(i);
    right[i] = 0xee;
  }
}

constexpr std::size_t kLengths[] = {0,  1,  2,  3,   7,   8,   9,   15,  16,  17,   31,   33,
                                    63, 64, 65, 100, 127, 129, 511, 512, 513, 1023, 2048, 4097};

unsigned memcpy_copies_exactly_the_bytes() {
  for (const std::size_t length : kLengths) {
    for (std::size_t offset = 0; offset < 17; ++offset) {
      reset_buffers();
      EXPECT(copy(&right[offset + 1], &left[offset], length) == &right[offset + 1]);
      EXPECT(right[offset] == 0xee && right[offset + 1 + length] == 0xee);
      EXPECT(std::equal(&left[offset], &left[offset + length], &right[offset + 1]));
    }
  }
  return 0;
}

unsigned memmove_handles_overlap_both_ways() {
  for (const std::size_t length : kLengths) {
    for (std::size_t distance = 1; distance < 70; distance += 3) {
      reset_buffers();
      move(&left[distance], &left[0], length);
      for (std::size_t i = 0; i < length; ++i) {
        EXPECT(left[distance + i] == pattern(i));
      }
      EXPECT(left[distance + length] == pattern(distance + length));
      reset_buffers();
      move(&left[0], &left[distance], length);
      for (std::size_t i = 0; i < length; ++i) {
        EXPECT(left[i] == pattern(distance + i));
      }
      EXPECT(left[length] == pattern(length) || length == 0);
    }
  }
  return 0;
}

unsigned memset_fills_exactly_the_bytes() {
  for (const int value : {0, 0x1a5}) {
    for (const std::size_t length : kLengths) {
      for (std::size_t offset = 1; offset < 18; ++offset) {
        reset_buffers();
        EXPECT(fill(&right[offset], value, length) == &right[offset]);
        EXPECT(right[offset - 1] == 0xee && right[offset + length] == 0xee);
        EXPECT(std::all_of(&right[offset], &right[offset + length],
                           [value](unsigned char byte) { return byte == (value & 0xff); }));
      }
    }
  }
  return 0;
}

unsigned memcmp_orders_by_the_first_difference() {
  for (const std::size_t length : kLengths) {
    reset_buffers();
    copy(right.data(), left.data(), kSize);
    EXPECT(compare(left.data(), right.data(), length) == 0);
    for (std::size_t at = 0; at < length; at += 5) {
      const unsigned char before = right[at];
      right[at] = static_cast<unsigned char>(before ^ 0x80);
      const int sign = left[at] < right[at] ? -1 : 1;
      EXPECT(compare(left.data(), right.data(), length) * sign > 0);
      EXPECT(compare(left.data(), right.data(), at) == 0);
      right[at] = before;
    }
  }
  return 0;
}

unsigned no_page_is_writable_and_executable() {
  const auto of = [](const void* at) { return arch::kernel_translation(reinterpret_cast<std::uint64_t>(at)); };
  EXPECT(of(_image_start).attributes == arch::kText);
  EXPECT(of(&kLengths).attributes == arch::kReadOnly);
  EXPECT(of(&left).attributes == arch::kReadWrite);
  const std::uint64_t alias = arch::kDirectMapBase + arch::early_boot().image_pa;
  EXPECT(arch::kernel_translation(alias).attributes == arch::kReadOnly);
  const std::uint64_t data_alias = alias + (reinterpret_cast<std::uint64_t>(&left) - arch::kImageBase);
  EXPECT(arch::kernel_translation(data_alias).attributes == arch::kReadWrite);
  return 0;
}

unsigned stacks_lie_between_unmapped_pages() {
  for (const arch::StackSlot slot : {arch::StackSlot::Boot, arch::StackSlot::Overflow}) {
    EXPECT(arch::kernel_translation(arch::stack_bottom(slot)).valid);
    EXPECT(arch::kernel_translation(arch::stack_top(slot) - 1).valid);
    EXPECT(!arch::kernel_translation(arch::stack_bottom(slot) - 1).valid);
    EXPECT(!arch::kernel_translation(arch::stack_top(slot)).valid);
  }
  return 0;
}

unsigned physical_inverts_the_direct_map_and_the_image() {
  std::uint64_t pa = 0;
  EXPECT(arch::physical(arch::direct(0x4123'4567), pa) && pa == 0x4123'4567);
  EXPECT(arch::physical(_image_start, pa) && pa == arch::early_boot().image_pa);
  int on_stack = 0;
  EXPECT(!arch::physical(&on_stack, pa));
  EXPECT(!arch::physical(nullptr, pa));
  return 0;
}

unsigned device_window_is_shared_and_guarded() {
  arch::MapStatus status{};
  const kernel::PhysRange& registers = machine.console.registers;
  const std::byte* const first = arch::map_device(registers.begin(), registers.size, status);
  const std::byte* const again = arch::map_device(registers.begin() + 4, 4, status);
  EXPECT(first != nullptr && again == first + 4);
  EXPECT(arch::kernel_translation(reinterpret_cast<std::uint64_t>(first)).attributes == arch::kDevice);
  EXPECT(arch::map_device(0, 0, status) == nullptr && status == arch::MapStatus::OutOfRange);
  EXPECT(arch::map_ram(std::uint64_t{1} << 48, 4096) == arch::MapStatus::OutOfRange);
  EXPECT(arch::map_device(~std::uint64_t{0} - 8, 4096, status) == nullptr && status == arch::MapStatus::OutOfRange);
  return 0;
}

unsigned symbols_name_the_functions() {
  const auto match = arch::kernel_symbols().find(reinterpret_cast<std::uint64_t>(&symbols_name_the_functions) + 4);
  EXPECT(match.has_value());
  EXPECT(match->name.find("symbols_name_the_functions") != std::string_view::npos && match->offset == 4);
  EXPECT(!arch::kernel_symbols().find(0).has_value());
  EXPECT(!arch::kernel_symbols().find(arch::kImageBase - 1).has_value());
  return 0;
}

/// Waits for an interrupt to raise an item and runs it.
void run_next_work() {
  while (!kernel::work_queue().run_one()) {
    arch::mask_irq();
    if (kernel::work_queue().empty()) {
      arch::wfi();
    }
    arch::unmask_irq();
  }
}

struct Ticks {
  kernel::Timer* timer;
  unsigned count;
  std::uint64_t last_ns;
};

/// Timer, controller, deferred work: one after the other, each deadline kept.
unsigned timer_interrupts_raise_work_in_time() {
  static constinit Ticks ticks{nullptr, 0, 0};
  static constinit kernel::WorkItem item(
      [](void* context) {
        auto& self = *static_cast<Ticks*>(context);
        ++self.count;
        self.last_ns = arch::clock_now_ns();
      },
      &ticks);
  static constinit kernel::Timer timer(item);
  constexpr unsigned kTicks = 20;
  constexpr std::uint64_t kPeriodNs = 100'000;
  for (unsigned i = 1; i <= kTicks; ++i) {
    const std::uint64_t deadline = arch::clock_now_ns() + kPeriodNs;
    kernel::timers().arm(timer, deadline);
    run_next_work();
    EXPECT(ticks.count == i && ticks.last_ns >= deadline && !timer.armed());
  }
  EXPECT(kernel::interrupts().unhandled() == 0);
  return 0;
}

/// Interrupts at any instruction leave every register as it was. The loop keeps known values in all that a function may
/// use and the timer interrupts it again and again.
unsigned interrupts_preserve_registers() {
  static constinit unsigned fired = 0;
  static constinit kernel::WorkItem item([](void*) { ++fired; }, nullptr);
  static constinit kernel::Timer timer(item);
  for (unsigned round = 0; round < 200; ++round) {
    kernel::timers().arm(timer, arch::clock_now_ns() + 2'000 + round * 7);
    std::uint64_t bad = 0;
    asm volatile(
        "mov x1, #1\n mov x2, #2\n mov x3, #3\n mov x4, #4\n mov x5, #5\n mov x6, #6\n mov x7, #7\n mov x8, #8\n"
        "mov x9, #9\n mov x10, #10\n mov x11, #11\n mov x12, #12\n mov x13, #13\n mov x14, #14\n mov x15, #15\n"
        "mov x16, #16\n mov x17, #17\n mov x30, #30\n mov x0, #2000\n"
        "1: subs x0, x0, #1\n b.ne 1b\n"  // NZCV must survive as well, or the loop ends early or never
        "add x0, x1, x2\n add x0, x0, x3\n add x0, x0, x4\n add x0, x0, x5\n add x0, x0, x6\n add x0, x0, x7\n"
        "add x0, x0, x8\n add x0, x0, x9\n add x0, x0, x10\n add x0, x0, x11\n add x0, x0, x12\n add x0, x0, x13\n"
        "add x0, x0, x14\n add x0, x0, x15\n add x0, x0, x16\n add x0, x0, x17\n add x0, x0, x30\n"
        "sub %0, x0, #183\n"
        : "=r"(bad)
        :
        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
          "x17", "x30", "cc", "memory");
    EXPECT(bad == 0);
    run_next_work();
  }
  EXPECT(fired == 200);
  return 0;
}

unsigned critical_section_holds_interrupts_off_and_nests() {
  constexpr std::uint64_t kMasked = arch::daif::I::encode(true);
  {
    const kernel::CriticalSection outer;
    {
      const kernel::CriticalSection inner;
    }
    EXPECT((arch::sysreg::Daif::read() & kMasked) != 0);
  }
  EXPECT((arch::sysreg::Daif::read() & kMasked) == 0);
  return 0;
}

constexpr NamedCheck kChecks[] = {
    {"memcpy_copies_exactly_the_bytes", memcpy_copies_exactly_the_bytes},
    {"memmove_handles_overlap_both_ways", memmove_handles_overlap_both_ways},
    {"memset_fills_exactly_the_bytes", memset_fills_exactly_the_bytes},
    {"memcmp_orders_by_the_first_difference", memcmp_orders_by_the_first_difference},
    {"no_page_is_writable_and_executable", no_page_is_writable_and_executable},
    {"stacks_lie_between_unmapped_pages", stacks_lie_between_unmapped_pages},
    {"physical_inverts_the_direct_map_and_the_image", physical_inverts_the_direct_map_and_the_image},
    {"device_window_is_shared_and_guarded", device_window_is_shared_and_guarded},
    {"symbols_name_the_functions", symbols_name_the_functions},
    {"timer_interrupts_raise_work_in_time", timer_interrupts_raise_work_in_time},
    {"interrupts_preserve_registers", interrupts_preserve_registers},
    {"critical_section_holds_interrupts_off_and_nests", critical_section_holds_interrupts_off_and_nests},
};

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  kernel::require(arch::init_clock(0), "the clock does not run");
  kernel::require(kernel::read_machine_info(arch::dtb(), machine).has_value(), "the device tree is not readable");
  kernel::require(start_console(machine.console) != nullptr, "no console");
  for (const kernel::PhysRange& range : machine.memory) {
    kernel::require(arch::map_ram(range.begin(), range.size) == arch::MapStatus::Ok, "memory cannot be mapped");
  }
  start_interrupts(machine);
  arch::exit_machine(abi::console::kKindShutdown, run_checks(kChecks));
}

}  // namespace guest
