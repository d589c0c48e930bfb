#include "guest/arch/user_access.hpp"

#include <algorithm>

#include "guest/arch/fp.hpp"
#include "guest/arch/model/esr.hpp"
#include "guest/arch/model/user_table.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "image.hpp"

extern "C" {
std::size_t user_copy_in(void* to, std::uint64_t from, std::size_t bytes);
std::size_t user_copy_out(std::uint64_t to, const void* from, std::size_t bytes);
[[noreturn]] void exception_report(const guest::arch::ExceptionFrame& frame);
}

namespace guest::arch {
namespace {

/// user_access.S, macro `fixup`: faults of instructions in [begin, end) go on at `landing`.
struct Fixup {
  std::uint64_t begin;
  std::uint64_t end;
  std::uint64_t landing;
};

std::span<const Fixup> fixups() {
  // The linker collects them between the two symbols (kernel.ld), aligned.
  const void* const begin = _user_access_fixups;
  const void* const end = _user_access_fixups_end;
  return {static_cast<const Fixup*>(begin), static_cast<const Fixup*>(end)};
}

/// How many of `bytes` from `address` on are user addresses.
std::size_t in_range(std::uint64_t address, std::size_t bytes) {
  return address < kUserEnd ? std::min<std::uint64_t>(bytes, kUserEnd - address) : 0;
}

}  // namespace

std::size_t copy_from_user(std::span<std::byte> to, std::uint64_t from) {
  return user_copy_in(to.data(), from, in_range(from, to.size()));
}

std::size_t copy_to_user(std::uint64_t to, std::span<const std::byte> from) {
  return user_copy_out(to, from.data(), in_range(to, from.size()));
}

bool fix_user_access(ExceptionFrame& frame) {
  // Only what the task's tables can cause. An external abort, for one, is the machine's fault and no task's.
  if (exception_class(frame.esr) != ExceptionClass::DataAbort || !is_mapping_fault(frame.esr) ||
      frame.far >= kUserEnd) {
    return false;
  }
  for (const Fixup& fixup : fixups()) {
    if (frame.elr >= fixup.begin && frame.elr < fixup.end) {
      frame.elr = fixup.landing;
      return true;
    }
  }
  return false;
}

/// From user_entry.S, interrupts masked: a synchronous exception of the kernel. Returns if it goes on.
extern "C" void kernel_exception(ExceptionFrame& frame) {
  if (exception_class(frame.esr) == ExceptionClass::FpAccess && threads::find_dispatcher() != nullptr) {
    take_fp();  // the instruction is executed again
  } else if (!fix_user_access(frame)) {
    exception_report(frame);
  }
}

}  // namespace guest::arch
