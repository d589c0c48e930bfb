#include "guest/arch/model/esr.hpp"

#include <iterator>

#include "guest/arch/model/registers.hpp"
#include "guest/kernel/format.hpp"

namespace guest::arch {
namespace {

using kernel::format_to;

struct Named {
  std::uint8_t code;
  std::string_view name;
};

// Arm DDI 0487, ESR_EL1, "Exception Class".
constexpr Named kClasses[] = {
    {0x00, "undefined instruction or unknown reason"},
    {0x01, "trapped WFI or WFE"},
    {0x03, "trapped MCR or MRC (coproc 15)"},
    {0x04, "trapped MCRR or MRRC (coproc 15)"},
    {0x05, "trapped MCR or MRC (coproc 14)"},
    {0x06, "trapped LDC or STC"},
    {0x07, "trapped FP, SIMD or SVE"},
    {0x0a, "trapped LD64B or ST64B"},
    {0x0c, "trapped MRRC (coproc 14)"},
    {0x0d, "branch target exception"},
    {0x0e, "illegal execution state"},
    {0x11, "SVC, AArch32"},
    {0x15, "SVC"},
    {0x18, "trapped MSR, MRS or system instruction"},
    {0x19, "trapped SVE"},
    {0x1b, "trapped TSTART"},
    {0x1c, "pointer authentication failure"},
    {0x1d, "trapped SME"},
    {0x20, "instruction abort, lower EL"},
    {0x21, "instruction abort, same EL"},
    {0x22, "PC alignment fault"},
    {0x24, "data abort, lower EL"},
    {0x25, "data abort, same EL"},
    {0x26, "SP alignment fault"},
    {0x27, "memory operation exception"},
    {0x28, "trapped FP exception, AArch32"},
    {0x2c, "trapped FP exception"},
    {0x2f, "SError"},
    {0x30, "breakpoint, lower EL"},
    {0x31, "breakpoint, same EL"},
    {0x32, "software step, lower EL"},
    {0x33, "software step, same EL"},
    {0x34, "watchpoint, lower EL"},
    {0x35, "watchpoint, same EL"},
    {0x38, "BKPT, AArch32"},
    {0x3c, "BRK instruction"},
};

// Arm DDI 0487, ESR_EL1, "ISS encoding for an exception from a Data Abort", DFSC (IFSC has the same codes).
constexpr Named kFaults[] = {
    {0x00, "address size fault, level 0"},
    {0x01, "address size fault, level 1"},
    {0x02, "address size fault, level 2"},
    {0x03, "address size fault, level 3"},
    {0x04, "translation fault, level 0"},
    {0x05, "translation fault, level 1"},
    {0x06, "translation fault, level 2"},
    {0x07, "translation fault, level 3"},
    {0x09, "access flag fault, level 1"},
    {0x0a, "access flag fault, level 2"},
    {0x0b, "access flag fault, level 3"},
    {0x0d, "permission fault, level 1"},
    {0x0e, "permission fault, level 2"},
    {0x0f, "permission fault, level 3"},
    {0x10, "synchronous external abort"},
    {0x11, "synchronous tag check fault"},
    {0x14, "synchronous external abort on table walk, level 0"},
    {0x15, "synchronous external abort on table walk, level 1"},
    {0x16, "synchronous external abort on table walk, level 2"},
    {0x17, "synchronous external abort on table walk, level 3"},
    {0x18, "parity or ECC error"},
    {0x1c, "parity or ECC error on table walk, level 0"},
    {0x1d, "parity or ECC error on table walk, level 1"},
    {0x1e, "parity or ECC error on table walk, level 2"},
    {0x1f, "parity or ECC error on table walk, level 3"},
    {0x21, "alignment fault"},
    {0x30, "TLB conflict"},
    {0x31, "unsupported atomic hardware update"},
    {0x34, "lockdown fault"},
    {0x35, "unsupported exclusive or atomic access"},
};

template <std::size_t N>
std::string_view lookup(const Named (&table)[N], std::uint64_t code, std::string_view unknown) {
  for (const Named& entry : table) {
    if (entry.code == code) {
      return entry.name;
    }
  }
  return unknown;
}

bool is_data_abort(ExceptionClass ec) {
  return ec == ExceptionClass::DataAbort || ec == ExceptionClass::DataAbortLower;
}
bool is_instruction_abort(ExceptionClass ec) {
  return ec == ExceptionClass::InstructionAbort || ec == ExceptionClass::InstructionAbortLower;
}

std::string_view access_word(std::uint64_t esr) {
  using namespace esr_el1::abort;
  if (Cm::decode(esr)) {
    return "cache maintenance";
  }
  return Wnr::decode(esr) ? "write" : "read";
}

}  // namespace

ExceptionClass exception_class(std::uint64_t esr) { return static_cast<ExceptionClass>(esr_el1::Ec::decode(esr)); }

std::string_view describe_class(std::uint64_t esr) {
  return lookup(kClasses, esr_el1::Ec::decode(esr), "unassigned exception class");
}

std::string_view describe_fault(std::uint64_t esr) {
  return lookup(kFaults, esr_el1::abort::Fsc::decode(esr), "unassigned fault status");
}

bool is_mapping_fault(std::uint64_t esr) {
  const ExceptionClass ec = exception_class(esr);
  const std::uint64_t fsc = esr_el1::abort::Fsc::decode(esr);
  return (is_data_abort(ec) || is_instruction_abort(ec)) && fsc >= 0x04 && fsc <= 0x0f;
}

bool has_fault_address(std::uint64_t esr) {
  const ExceptionClass ec = exception_class(esr);
  if (ec == ExceptionClass::PcAlignment) {
    return true;
  }
  return (is_data_abort(ec) || is_instruction_abort(ec)) && !esr_el1::abort::Fnv::decode(esr);
}

void describe_syndrome(kernel::TextOutput& output, std::uint64_t esr) {
  const ExceptionClass ec = exception_class(esr);
  const std::uint64_t iss = esr_el1::Iss::decode(esr);
  format_to(output, "EC {:#04x} {}; {} instruction; ISS {:#x}", esr_el1::Ec::decode(esr), describe_class(esr),
            esr_el1::Il::decode(esr) ? "32-bit" : "16-bit", iss);
  if (is_data_abort(ec)) {
    format_to(output, ": {}, DFSC {:#04x} {}", access_word(esr), esr_el1::abort::Fsc::decode(esr), describe_fault(esr));
  } else if (is_instruction_abort(ec)) {
    format_to(output, ": IFSC {:#04x} {}", esr_el1::abort::Fsc::decode(esr), describe_fault(esr));
  } else if (ec == ExceptionClass::Brk) {
    format_to(output, ": comment {:#x}", iss & 0xffff);
  }
}

void describe_spsr(kernel::TextOutput& output, std::uint64_t spsr) {
  if (spsr_el1::Aarch32::decode(spsr)) {
    format_to(output, "AArch32, mode {:#x}", spsr_el1::M::decode(spsr));
    return;
  }
  const std::uint64_t mode = spsr_el1::M::decode(spsr);
  format_to(output, "EL{}{}, masked:", mode >> 2, (mode & 1) != 0 ? "h" : "t");
  constexpr char kNames[] = {'D', 'A', 'I', 'F'};
  const std::uint64_t mask = spsr_el1::Daif::decode(spsr);
  for (unsigned i = 0; i < std::size(kNames); ++i) {
    if (((mask >> (3 - i)) & 1) != 0) {
      format_to(output, " {}", kNames[i]);
    }
  }
  if (mask == 0) {
    output.write(" nothing");
  }
}

void describe_cause(kernel::TextOutput& output, std::uint64_t esr, std::uint64_t far) {
  const ExceptionClass ec = exception_class(esr);
  if (is_data_abort(ec) && has_fault_address(esr)) {
    format_to(output, "data abort: {} at {:#x}: {}", access_word(esr), far, describe_fault(esr));
  } else if (is_instruction_abort(ec) && has_fault_address(esr)) {
    format_to(output, "instruction abort: execution at {:#x}: {}", far, describe_fault(esr));
  } else if (is_data_abort(ec) || is_instruction_abort(ec)) {
    format_to(output, "{}: {}", describe_class(esr), describe_fault(esr));
  } else {
    output.write(describe_class(esr));
  }
}

}  // namespace guest::arch
