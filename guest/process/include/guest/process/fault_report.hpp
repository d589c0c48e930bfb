// Why a user task was killed, for people.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"
#include "guest/process/user_space.hpp"

namespace guest::process {

/// What the CPU says of an exception in a task. Arm DDI 0487: ESR_EL1, FAR_EL1, ELR_EL1, SPSR_EL1.
struct TaskFault {
  std::uint64_t esr;
  std::uint64_t far;
  std::uint64_t pc;
  std::uint64_t sp;
  std::span<const std::uint64_t, 31> x;
};

/// One line for each: what happened, where, and the registers:
///   task 3 (crash) killed: data abort: write at 0x0: translation fault, level 0
///   0x0 is below any program, as a null pointer is
///   x0  ... x30, sp, pc
/// `name` needs no escapes.
void write_fault(kernel::TextOutput& output, std::uint32_t pid, std::string_view name, const TaskFault& fault,
                 const UserSpace& space);

}  // namespace guest::process
