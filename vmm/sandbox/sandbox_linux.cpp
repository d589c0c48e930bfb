#include <linux/capability.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>

#include "filters.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::sandbox {
namespace {

/// asm-generic/siginfo.h, SYS_SECCOMP; C libraries do not all have it.
constexpr int kSysSeccomp = 1;

// For the signal handler, which can reach only what is global. Set before the first thread is made.
void (*at_exit)() = nullptr;
thread_local ThreadKind this_thread = ThreadKind::Main;

/// A line of text that may be made in a signal handler.
class Line {
 public:
  Line& add(std::string_view text) {
    for (const char c : text.substr(0, text_.size() - size_)) text_[size_++] = c;
    return *this;
  }
  Line& add(unsigned long number, unsigned base) {
    std::array<char, 20> digits;
    std::size_t first = digits.size();
    do digits[--first] = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    return add({digits.data() + first, digits.size() - first});
  }
  // Before a call that does not return AddressSanitizer makes a system call of its own, which would be refused, too.
  [[noreturn, gnu::no_sanitize_address]] void end_process() {
    if (at_exit != nullptr) at_exit();
    add("\n");
    // Nobody is left to be told that it could not be written.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text_.data(), size_);
    ::_exit(static_cast<int>(abi::ExitCode::Internal));
  }

 private:
  std::array<char, 256> text_{};
  std::size_t size_ = 0;
};

[[noreturn]] void cannot_confine(const char* what, int error) {
  Line()
      .add("sisvmm: cannot confine the ")
      .add(name_of(this_thread))
      .add(" thread: ")
      .add(what)
      .add(": error ")
      .add(static_cast<unsigned long>(error), 10)
      .end_process();
}

/// The first three arguments of the system call that the thread has made.
std::array<unsigned long, 3> arguments_of(const ucontext_t& context) {
  const auto& machine = context.uc_mcontext;
#ifdef __aarch64__
  return {machine.regs[0], machine.regs[1], machine.regs[2]};
#else
  const auto at = [&](int number) { return static_cast<unsigned long>(machine.gregs[number]); };
  return {at(REG_RDI), at(REG_RSI), at(REG_RDX)};
#endif
}

[[gnu::no_sanitize_address]] void on_refused_call(int, siginfo_t* info, void* context) {
  Line line;
  line.add("sisvmm: internal error: the ").add(name_of(this_thread)).add(" thread");
  if (info->si_code != kSysSeccomp) line.add(" was sent SIGSYS").end_process();
  const auto arguments = arguments_of(*static_cast<const ucontext_t*>(context));
  line.add(" made a system call that its sandbox refuses: ").add(call_name(info->si_syscall)).add("(");
  for (const unsigned long argument : arguments) line.add("0x").add(argument, 16).add(", ");
  line.add("...), number ").add(static_cast<unsigned long>(info->si_syscall), 10);
  line.add("; --no-sandbox does without").end_process();
}

void drop_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) cannot_confine("capset", errno);
}

void set_filter(std::span<const sock_filter> filter) {
  // The kernel wants a pointer to what it only reads.
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                           .filter = const_cast<sock_filter*>(filter.data())};
  // Without it only a privileged thread may have a filter.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) cannot_confine("PR_SET_NO_NEW_PRIVS", errno);
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) cannot_confine("seccomp", errno);
}

}  // namespace

Result<Sandbox> Sandbox::create(void (*before_exit)()) {
  const std::uint32_t action = SECCOMP_RET_TRAP;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
    return fail("this host's kernel has no filters of system calls (CONFIG_SECCOMP_FILTER); --no-sandbox does without",
                abi::ExitCode::HostLacks);
  }
  at_exit = before_exit;
  struct sigaction handler{};
  handler.sa_sigaction = on_refused_call;
  handler.sa_flags = SA_SIGINFO;
  if (::sigaction(SIGSYS, &handler, nullptr) != 0) return fail_errno("cannot set a handler for SIGSYS");
#ifdef M_ARENA_MAX
  // A heap for each thread would be more system calls for each: mprotect, and reads of /sys and /proc.
  ::mallopt(M_ARENA_MAX, 1);
#endif
  Sandbox sandbox;
  sandbox.confines_ = true;
  return sandbox;
}

void Sandbox::enter(ThreadKind kind) const {
  this_thread = kind;
  // A main thread's is the name of the process.
  if (kind != ThreadKind::Main && kind != ThreadKind::Machine) ::prctl(PR_SET_NAME, name_of(kind));
  if (!confines_) return;
  drop_capabilities();
  set_filter(filter_of(kind));
}

}  // namespace vmm::sandbox
