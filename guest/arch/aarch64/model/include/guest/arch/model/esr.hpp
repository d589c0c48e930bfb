// The exception syndrome in words. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::arch {

/// Exception classes that the kernel tells apart. Arm DDI 0487, ESR_EL1, EC.
enum class ExceptionClass : std::uint8_t {
  Unknown = 0x00,
  FpAccess = 0x07,
  BranchTarget = 0x0d,
  IllegalState = 0x0e,
  Svc = 0x15,
  InstructionAbortLower = 0x20,
  InstructionAbort = 0x21,
  PcAlignment = 0x22,
  DataAbortLower = 0x24,
  DataAbort = 0x25,
  SpAlignment = 0x26,
  SError = 0x2f,
  Brk = 0x3c,
};

ExceptionClass exception_class(std::uint64_t esr);
/// "data abort, same EL". For classes that are not assigned: "unassigned exception class".
std::string_view describe_class(std::uint64_t esr);
/// "translation fault, level 3", for the fault status code of an abort.
std::string_view describe_fault(std::uint64_t esr);
/// An abort that the translation tables cause: a translation, access flag or permission fault.
bool is_mapping_fault(std::uint64_t esr);
/// FAR_EL1 is meaningful for this syndrome.
bool has_fault_address(std::uint64_t esr);
/// One line: "EC 0x25 data abort, same EL; IL 1; ISS 0x47: write, DFSC 0x07 translation fault, level 3".
void describe_syndrome(kernel::TextOutput& output, std::uint64_t esr);
/// "EL1h, masked: D A I F".
void describe_spsr(kernel::TextOutput& output, std::uint64_t spsr);
/// The short cause for the panic's first line: "data abort: write to 0x10: translation fault, level 0".
void describe_cause(kernel::TextOutput& output, std::uint64_t esr, std::uint64_t far);

}  // namespace guest::arch
