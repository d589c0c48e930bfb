// Lets a thread of another process make one system call, as an intruder would: by ptrace(2) it puts the call's number
// and arguments into the registers, and the program counter at a supervisor call of the process's own code. Says
// "refused" when a filter has refused it; else "returned VALUE", and the thread goes on as if nothing had happened.
//
// Usage: inject_call THREAD NUMBER [ARGUMENT...]
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

/// Arm DDI 0487, "SVC": svc #0.
constexpr std::uint32_t kSvc = 0xd400'0001;
/// user_pt_regs of asm/ptrace.h.
struct Registers {
  std::array<std::uint64_t, 31> x;
  std::uint64_t sp;
  std::uint64_t pc;
  std::uint64_t pstate;
};

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

long request(__ptrace_request what, pid_t thread, std::uint64_t address, void* data) {
  // The kernel takes addresses of the other process, and some numbers, for pointers.
  return ::ptrace(what, thread, reinterpret_cast<void*>(address), data);
}

std::uint32_t instruction_at(pid_t thread, std::uint64_t address) {
  errno = 0;
  const long word = request(PTRACE_PEEKTEXT, thread, address & ~std::uint64_t{7}, nullptr);
  if (errno != 0) give_up("PTRACE_PEEKTEXT");
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(word) >> (address & 4 ? 32 : 0));
}

/// Where the code has its next supervisor call. Not the one that the thread has stopped in: the kernel would repeat the
/// interrupted call there.
std::uint64_t find_svc(pid_t thread, std::uint64_t from) {
  for (std::uint64_t at = from + 4; at < from + (1 << 20); at += 4) {
    if (instruction_at(thread, at) == kSvc) return at;
  }
  std::fprintf(stderr, "no svc in the code after 0x%llx\n", static_cast<unsigned long long>(from));
  std::exit(1);
}

void wait_for_stop(pid_t thread) {
  int status = 0;
  if (::waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status)) give_up("the thread does not stop");
}

void resume_until_stop(pid_t thread) {
  if (request(PTRACE_SYSCALL, thread, 0, nullptr) != 0) give_up("PTRACE_SYSCALL");
  wait_for_stop(thread);
}

void access_registers(__ptrace_request what, pid_t thread, Registers& registers) {
  iovec all{.iov_base = &registers, .iov_len = sizeof registers};
  // NT_PRSTATUS: the general registers.
  if (request(what, thread, NT_PRSTATUS, &all) != 0) give_up("registers");
}

/// A filter that refuses a call sends SIGSYS instead.
bool is_refused(pid_t thread) {
  __ptrace_peeksiginfo_args first{.off = 0, .flags = 0, .nr = 1};
  siginfo_t pending{};
  return ::ptrace(PTRACE_PEEKSIGINFO, thread, &first, &pending) == 1 && pending.si_signo == SIGSYS;
}

/// A thread that is being made or is about to end blocks all signals. A refused call would end its process at once
/// then, before it can say which call that was.
bool blocks_signals(pid_t thread) {
  std::uint64_t mask = 0;
  if (request(PTRACE_GETSIGMASK, thread, sizeof mask, &mask) != 0) give_up("PTRACE_GETSIGMASK");
  return (mask >> (SIGSYS - 1) & 1) != 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 9) {
    std::fprintf(stderr, "usage: inject_call THREAD NUMBER [ARGUMENT...]\n");
    return 2;
  }
  const auto thread = static_cast<pid_t>(std::strtol(argv[1], nullptr, 10));
  if (request(PTRACE_SEIZE, thread, 0, nullptr) != 0) give_up("PTRACE_SEIZE");
  if (request(PTRACE_INTERRUPT, thread, 0, nullptr) != 0) give_up("PTRACE_INTERRUPT");
  wait_for_stop(thread);
  if (blocks_signals(thread)) {
    std::fprintf(stderr, "the thread blocks signals\n");
    return 1;  // which lets it go on
  }
  Registers before{};
  access_registers(PTRACE_GETREGSET, thread, before);
  Registers registers = before;
  registers.pc = find_svc(thread, before.pc);
  registers.x[8] = std::strtoull(argv[2], nullptr, 0);
  for (int i = 3; i < argc; ++i) registers.x[static_cast<std::size_t>(i - 3)] = std::strtoull(argv[i], nullptr, 0);
  access_registers(PTRACE_SETREGSET, thread, registers);
  resume_until_stop(thread);  // at the call's entry
  resume_until_stop(thread);  // at its exit, whether it was made or not
  if (is_refused(thread)) {
    std::puts("refused");
  } else {
    access_registers(PTRACE_GETREGSET, thread, registers);
    std::printf("returned %lld\n", static_cast<long long>(registers.x[0]));
    access_registers(PTRACE_SETREGSET, thread, before);
  }
  if (request(PTRACE_DETACH, thread, 0, nullptr) != 0) give_up("PTRACE_DETACH");
  return 0;
}
