#include "guest/process/fault_report.hpp"

#include "guest/arch/model/esr.hpp"
#include "guest/kernel/format.hpp"

namespace guest::process {

using kernel::format_to;

void write_fault(kernel::TextOutput& output, std::uint32_t pid, std::string_view name, const TaskFault& fault,
                 const UserSpace& space) {
  format_to(output, "task {} ({}) killed: ", pid, name);
  arch::describe_cause(output, fault.esr, fault.far);
  output.write("\n");
  if (arch::has_fault_address(fault.esr)) {
    format_to(output, "{:#x} is {}\n", fault.far, space.describe(fault.far));
  }
  format_to(output, "pc {:#x} is {}, sp {:#x} is {}\n", fault.pc, space.describe(fault.pc), fault.sp,
            space.describe(fault.sp));
  for (unsigned i = 0; i < 30; i += 3) {
    format_to(output, "x{:<2} {:016x}  x{:<2} {:016x}  x{:<2} {:016x}\n", i, fault.x[i], i + 1, fault.x[i + 1], i + 2,
              fault.x[i + 2]);
  }
  format_to(output, "x30 {:016x}  sp  {:016x}  pc  {:016x}\n", fault.x[30], fault.sp, fault.pc);
}

}  // namespace guest::process
