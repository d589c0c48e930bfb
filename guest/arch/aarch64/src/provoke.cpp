#include "guest/arch/provoke.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>

#include "guest/arch/cpu.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/arch/gic.hpp"
#include "guest/arch/layout.hpp"
#include "guest/arch/mmio.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "image.hpp"

namespace guest::arch {
namespace {

constexpr FaultKind kKinds[] = {
    {"assert", Fault::Assert, "a failed assertion"},
    {"null", Fault::Null, "read through a null pointer"},
    {"zeropage", Fault::ZeroPage, "write into page zero"},
    {"write-code", Fault::WriteCode, "write to the kernel's code"},
    {"write-rodata", Fault::WriteRodata, "write to read-only data"},
    {"write-alias", Fault::WriteAlias, "write to the code through the direct map"},
    {"exec-data", Fault::ExecData, "execute the kernel's data"},
    {"exec-direct", Fault::ExecDirect, "execute through the direct map"},
    {"stack-overflow", Fault::StackOverflow, "recursion far beyond the stack"},
    {"undefined", Fault::Undefined, "an undefined instruction"},
    {"brk", Fault::Break, "a BRK instruction"},
    {"stack-smash", Fault::StackSmash, "overrun of a buffer on the stack"},
    {"interrupt", Fault::Interrupt, "read through a null pointer in an interrupt handler"},
    {"nested", Fault::Nested, "a fault inside the panic report"},
    {"hang", Fault::Hang, "another CPU hangs in an interrupt handler"},
    {"lock-wait", Fault::LockWait, "a spin lock that another CPU never releases"},
};

constexpr std::uint32_t kReturnInstruction = 0xd65f03c0;  // ret
alignas(8) std::uint32_t code_in_data[2] = {kReturnInstruction, kReturnInstruction};

/// Accesses through inline assembly, so that the compiler cannot know that they are wrong.
void store(std::uint64_t address) { mmio_write32(address, 0); }
std::uint32_t load(std::uint64_t address) { return mmio_read32(address); }
void call(std::uint64_t address) { asm volatile("blr %0" : : "r"(address) : "x30", "memory", "cc"); }

std::uint64_t number(const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); }  // for asm above

[[gnu::noinline]] std::uint64_t recurse(std::uint64_t left) {
  std::array<volatile std::uint64_t, 32> local;
  local[left % 32] = left;
  return left == 0 ? 0 : recurse(left - 1) + local[left % 32];
}

[[gnu::noinline]] void smash(std::size_t bytes) {
  volatile char buffer[16];
  volatile char* cursor = buffer;
  // Hidden from the compiler, which would refuse to write past the end.
  asm volatile("" : "+r"(cursor));
  for (std::size_t i = 0; i < bytes; ++i) {
    cursor[i] = 'x';
  }
}

void fault_in_interrupt() {
  constexpr std::uint32_t kId = 1;
  kernel::require(kernel::interrupts().attach(
                      kernel::IntId{kId}, kernel::Trigger::Edge, "provoked", [](void*) { load(0); }, nullptr),
                  "the software-generated interrupt is taken");
  raise_software_interrupt(kId);
  // Delivery is not immediate; a microsecond is plenty.
  for (unsigned i = 0; i < 1'000'000; ++i) {
    asm volatile("" : : : "memory");
  }
}

constinit kernel::SpinLock kept_lock{"provoked", kernel::LockRank{1}};
constinit std::atomic<bool> lock_is_kept{false};

/// The last CPU that is online.
void hang_another_cpu() {
  const auto cpu = static_cast<std::uint32_t>(std::bit_width(online_cpus()) - 1);
  kernel::require(cpu != cpu_index(), "a hang is provoked on another CPU, and there is none");
  const bool called = smp::call(
      cpu,
      [](void*) {
        (void)kept_lock.acquire();
        lock_is_kept.store(true);
        for (;;) {
          asm volatile("" : : : "memory");
        }
      },
      nullptr);
  kernel::require(called, "the other CPU takes no calls");
}

/// An output that faults: what a broken console driver would do to the report.
class FaultyOutput final : public kernel::TextOutput {
 public:
  explicit constexpr FaultyOutput() = default;
  void write(std::string_view text) override {
    if (armed_) {
      armed_ = false;
      load(0x18);
    }
    kernel::log().write(text);
  }

 private:
  bool armed_ = true;
};
constinit FaultyOutput faulty_output;

}  // namespace

std::span<const FaultKind> fault_kinds() { return kKinds; }

void provoke(Fault fault) {
  switch (fault) {
    case Fault::Assert:
      kernel::require(false, "provoked assertion");
      break;
    case Fault::Null:
      load(0);
      break;
    case Fault::ZeroPage:
      store(0x10);
      break;
    case Fault::WriteCode:
      store(number(_image_start));
      break;
    case Fault::WriteRodata:
      store(number(&kKinds));
      break;
    case Fault::WriteAlias:
      store(kDirectMapBase + early_boot().image_pa);
      break;
    case Fault::ExecData:
      call(number(&code_in_data));
      break;
    case Fault::ExecDirect:
      call(kDirectMapBase + early_boot().image_pa);
      break;
    case Fault::StackOverflow:
      recurse(~std::uint64_t{0});
      break;
    case Fault::Undefined:
      asm volatile("udf #0x515");
      break;
    case Fault::Break:
      asm volatile("brk #0x515");
      break;
    case Fault::StackSmash:
      smash(64);
      break;
    case Fault::Interrupt:
      fault_in_interrupt();
      break;
    case Fault::Nested:
      set_panic_output(faulty_output);
      kernel::panic("provoked panic whose report faults");
    case Fault::Hang:
      hang_another_cpu();
      for (;;) {
        threads::dispatcher().park();
      }
    case Fault::LockWait:
      hang_another_cpu();
      while (!lock_is_kept.load()) {
        kernel::spin_pause();
      }
      kept_lock.release(kept_lock.acquire());
  }
  kernel::panic("a provoked fault was not stopped");
}

}  // namespace guest::arch
