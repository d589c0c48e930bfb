// Faults on request, for tests of the panic path and of the memory protection.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace guest::arch {

enum class Fault : std::uint8_t {
  Assert,         ///< a failed require()
  Null,           ///< read through a null pointer
  ZeroPage,       ///< write into page zero
  WriteCode,      ///< write to .text
  WriteRodata,    ///< write to .rodata
  WriteAlias,     ///< write to .text through the direct map
  ExecData,       ///< call into .data
  ExecDirect,     ///< call into the direct map
  StackOverflow,  ///< recursion without end
  Undefined,      ///< an undefined instruction
  Break,          ///< a BRK instruction
  StackSmash,     ///< overrun of a buffer on the stack
  Interrupt,      ///< a read through a null pointer in an interrupt handler
  Nested,         ///< a fault inside the panic report
  Hang,           ///< another CPU hangs in an interrupt handler, holding a spin lock; this one is idle
  LockWait,       ///< the same, and this CPU waits for the lock
};

struct FaultKind {
  std::string_view name;  ///< "write-code"
  Fault fault;
  std::string_view help;
};
/// Every kind, for help and for lookup by name.
std::span<const FaultKind> fault_kinds();

/// Does it. Returns only if the protection that should have stopped it is missing; then it panics and says so.
[[noreturn]] void provoke(Fault fault);

}  // namespace guest::arch
