// The panic report. Runs in any context, on one CPU of several: stops the others, takes no lock, allocates nothing,
// writes with polling. What it reads was checked first (frame pointers), so that the report does not fault; if it does
// nevertheless, the second panic prints one line and powers off.
#include "guest/kernel/panic.hpp"

#include <atomic>

#include "abi/console.hpp"
#include "abi/exit_code.hpp"
#include "end_of_machine.hpp"
#include "guest/arch/build_info.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/arch/exception.hpp"
#include "guest/arch/layout.hpp"
#include "guest/arch/model/esr.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/psci.hpp"
#include "guest/arch/symbols.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::arch {
namespace {

using kernel::format_to;
using kernel::TextOutput;

constinit TextOutput* panic_output = nullptr;
constinit std::atomic<unsigned> panics_begun = 0;

constexpr unsigned kMaxBacktrace = 32;

/// Reasons that come with an explicit call instead of an exception.
struct Call {
  std::string_view reason;
  const char* file;
  unsigned line;
  const char* function;
};

/// A frame record at `address` lies in the stack that this CPU ran on, or in its overflow stack.
bool in_stack(std::uint64_t address) {
  const CpuLocal& cpu = this_cpu();
  return address >= cpu.stack_bottom && address <= cpu.stack_top - sizeof(FrameRecord);
}
bool in_overflow_stack(std::uint64_t address) {
  const std::uint64_t top = this_cpu().overflow_stack_top;
  return address >= top - kStackSize && address <= top - sizeof(FrameRecord);
}

/// A frame record may be read there without a fault.
bool readable_record(std::uint64_t fp) {
  return fp % alignof(FrameRecord) == 0 && (in_stack(fp) || in_overflow_stack(fp));
}

/// A return address is looked up one byte before: after a call that does not return the next function begins.
void write_address(TextOutput& output, std::uint64_t address, bool is_return) {
  const std::uint64_t before = is_return ? 1 : 0;
  format_to(output, "{:#018x}", address);
  if (const auto match = kernel_symbols().find(address - before)) {
    output.write(" ");
    kernel::write_symbol(output, match->name);
    format_to(output, "+{:#x}", match->offset + before);
  }
}

/// AAPCS64, "The Frame Pointer": reads the record at `fp`. False: there is no caller. Each record points to the
/// caller's, which lies higher on the same stack, so a walk ends.
bool next_frame(std::uint64_t& pc, std::uint64_t& fp) {
  if (!readable_record(fp)) {
    return false;
  }
  const auto& record = *reinterpret_cast<const FrameRecord*>(fp);  // checked: mapped, aligned
  if (record.lr == 0 || (record.fp <= fp && record.fp != 0 && in_stack(fp))) {
    return false;
  }
  pc = record.lr;
  fp = record.fp;
  return true;
}

void write_backtrace(TextOutput& output, std::uint64_t pc, std::uint64_t fp, bool pc_is_return) {
  output.write("backtrace:\n");
  for (unsigned line = 0, depth = 0; line < kMaxBacktrace; ++line) {
    format_to(output, "  #{:<2} ", depth);
    write_address(output, pc, pc_is_return || depth != 0);
    output.write("\n");
    // The frames of a recursion are counted instead of repeated.
    const std::uint64_t shown = pc;
    unsigned repeats = 0;
    bool more = next_frame(pc, fp);
    for (++depth; more && pc == shown; ++depth) {
      ++repeats;
      more = next_frame(pc, fp);
    }
    if (repeats != 0) {
      format_to(output, "      and {} more calls from there\n", repeats);
    }
    if (!more) {
      return;
    }
  }
  format_to(output, "  ... deeper frames are not shown (limit {} lines)\n", kMaxBacktrace);
}

void write_registers(TextOutput& output, const ExceptionFrame& frame) {
  for (unsigned i = 0; i < 30; i += 3) {
    format_to(output, "x{:<2} {:016x}  x{:<2} {:016x}  x{:<2} {:016x}\n", i, frame.x[i], i + 1, frame.x[i + 1], i + 2,
              frame.x[i + 2]);
  }
  format_to(output, "x30 {:016x}  sp  {:016x}  pc  {:016x}\n", frame.x[30], frame.sp, frame.elr);
}

void write_cause(TextOutput& output, const ExceptionFrame& frame, const Call* call) {
  constexpr std::string_view kKinds[] = {"synchronous exception", "IRQ", "FIQ", "SError"};
  constexpr std::string_view kOrigins[] = {"the kernel on SP_EL0", "the kernel", "a lower EL", "a lower EL (AArch32)"};
  if (call != nullptr) {
    format_to(output, "reason: {}\n", kernel::escaped(call->reason));
    format_to(output, "at: {}:{} ({})\n", call->file, call->line, call->function);
    return;
  }
  if (frame.vector.overflowed()) {
    format_to(output, "reason: kernel stack overflow (sp {:#x}, stack {:#x} to {:#x})\n", frame.sp,
              this_cpu().stack_bottom, this_cpu().stack_top);
  } else if (frame.vector.kind() == 0) {
    output.write("reason: ");
    describe_cause(output, frame.esr, frame.far);
    output.write("\n");
  } else {
    format_to(output, "reason: unexpected {}\n", kKinds[frame.vector.kind()]);
  }
  output.write("at: ");
  write_address(output, frame.elr, false);
  output.write("\n");
  // A function without calls has no frame record: only the link register names its caller.
  output.write("lr: ");
  write_address(output, frame.x[30], true);
  format_to(output, "\nvector: {} ({} from {})\n", frame.vector.number(), kKinds[frame.vector.kind()],
            kOrigins[frame.vector.origin()]);
}

void write_state(TextOutput& output, const ExceptionFrame& frame, const Call* call) {
  format_to(output, "core: {}  EL: {}  time: {} ns  version: {}  build: ", cpu_index(),
            current_el::El::decode(sysreg::CurrentEl::read()), clock_now_ns(), version());
  write_build_id(output);
  output.write("\n");
  if (const threads::Dispatcher* const here = threads::find_dispatcher()) {
    format_to(output, "thread: {} ({}){}\n", here->current().id(), kernel::escaped(here->current().name()),
              here->in_interrupt() ? ", in an interrupt" : "");
  }
  if (call == nullptr) {
    format_to(output, "ESR: {:#010x}  ", frame.esr);
    describe_syndrome(output, frame.esr);
    format_to(output, "\nFAR: {:#018x}{}\nELR: {:#018x}\nSPSR: {:#010x}  ", frame.far,
              has_fault_address(frame.esr) ? "" : " (not of this exception)", frame.elr, frame.spsr);
    describe_spsr(output, frame.spsr);
    output.write("\n");
  }
}

/// Once: a machine that panics on its way down has said already how it ends. Only the CPU that ends it comes here.
void write_exit_record(TextOutput& output, const char* kind, unsigned code) {
  static constinit bool written = false;
  if (written) {
    return;
  }
  written = true;
  format_to(output, "{}{} kind={} code={}\n", abi::console::kRecordMark, abi::console::kExitRecord, kind, code);
}

[[noreturn]] void report(const ExceptionFrame& frame, const Call* call) {
  mask_irq();
  claim_end_of_machine();
  const unsigned earlier = panics_begun.fetch_add(1, std::memory_order_relaxed);
  if (panic_output == nullptr || earlier > 1) {
    power_off();
  }
  TextOutput& output = *panic_output;
  if (earlier == 0) {
    stop_other_cpus();
  }
  if (earlier == 1) {
    format_to(output, "\nPANIC inside the panic report: ESR {:#x} ELR {:#x} FAR {:#x} {}\n", frame.esr, frame.elr,
              frame.far, call != nullptr ? call->reason : std::string_view{});
  } else {
    output.write("\n==== KERNEL PANIC ====\n");
    write_cause(output, frame, call);
    write_state(output, frame, call);
    write_registers(output, frame);
    write_backtrace(output, frame.elr, frame.x[29], call != nullptr);
    kernel::write_last_events(output, kernel::kMaxLastEvents);
    if (!kernel::log().early_text().empty()) {
      output.write("log so far:\n");
      output.write(kernel::log().early_text());
    }
    output.write("==== END OF PANIC ====\n");
  }
  write_exit_record(output, abi::console::kKindPanic, static_cast<unsigned>(abi::ExitCode::GuestPanic));
  power_off();
}

}  // namespace

void set_panic_output(kernel::TextOutput& output) { panic_output = &output; }

void exit_machine(const char* kind, unsigned code) {
  mask_irq();
  claim_end_of_machine();
  stop_other_cpus();
  if (panic_output != nullptr) {
    // A record is a line of its own; the shell's prompt may be open.
    panic_output->write(kernel::log().in_line() ? "\n" : "");
    write_exit_record(*panic_output, kind, code);
  }
  if (kind == std::string_view(abi::console::kKindReboot)) {
    reset();
  }
  power_off();
}

/// From vectors.S. `frame` is on the stack of the interrupted context or on the overflow stack.
extern "C" [[noreturn]] void exception_report(const ExceptionFrame& frame) { report(frame, nullptr); }

namespace {

/// `record` is the frame record of the function that was called to panic: the report starts at its caller.
[[noreturn]] void panic_from(const Call& call, const FrameRecord* record) {
  ExceptionFrame frame;
  // Registers as they are here: the callee-saved ones are the caller's, the others what the call left.
  asm volatile(
      "stp x0, x1, [%0, #0]\n"
      "stp x2, x3, [%0, #16]\n"
      "stp x4, x5, [%0, #32]\n"
      "stp x6, x7, [%0, #48]\n"
      "stp x8, x9, [%0, #64]\n"
      "stp x10, x11, [%0, #80]\n"
      "stp x12, x13, [%0, #96]\n"
      "stp x14, x15, [%0, #112]\n"
      "stp x16, x17, [%0, #128]\n"
      "stp x18, x19, [%0, #144]\n"
      "stp x20, x21, [%0, #160]\n"
      "stp x22, x23, [%0, #176]\n"
      "stp x24, x25, [%0, #192]\n"
      "stp x26, x27, [%0, #208]\n"
      "stp x28, x29, [%0, #224]\n"
      "str x30, [%0, #240]\n"
      :
      : "r"(&frame)
      : "memory");
  frame.x[29] = record->fp;
  frame.x[30] = record->lr;
  frame.elr = record->lr;
  frame.sp = reinterpret_cast<std::uint64_t>(record);
  frame.spsr = 0;
  frame.esr = 0;
  frame.far = 0;
  frame.record = {};
  frame.vector = {};
  report(frame, &call);
}

}  // namespace

void panic_at_place(std::string_view reason, const char* file, unsigned line, const char* function) {
  panic_from({reason, file, line, function}, static_cast<const FrameRecord*>(__builtin_frame_address(0)));
}

}  // namespace guest::arch

namespace guest::kernel {

void panic(std::string_view reason, std::source_location where) {
  arch::panic_from({reason, where.file_name(), where.line(), where.function_name()},
                   static_cast<const arch::FrameRecord*>(__builtin_frame_address(0)));
}

}  // namespace guest::kernel
