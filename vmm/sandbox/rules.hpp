// Which system calls each kind of thread may make: the one list. make_filters turns it into the filters, and into the
// table of docs/sandbox.md.
//
// A rule says what the call is for. A test runs machines in all ways that it knows and finds out which rules were used
// (tests/kvm/test_sandbox.py); one that need not be used then says why it is there all the same.
#pragma once

#include <array>
#include <cstdint>

#include "requests.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::sandbox {

/// Kinds of threads, a bit each.
using Kinds = unsigned;
constexpr Kinds one(ThreadKind kind) { return 1u << static_cast<unsigned>(kind); }
inline constexpr Kinds kMain = one(ThreadKind::Main);
inline constexpr Kinds kMachine = one(ThreadKind::Machine);
inline constexpr Kinds kVcpu = one(ThreadKind::Vcpu);
inline constexpr Kinds kControl = one(ThreadKind::Control);
inline constexpr Kinds kOutput = one(ThreadKind::Output);
inline constexpr Kinds kNpu = one(ThreadKind::Npu);
inline constexpr Kinds kAll = (1u << kThreadKinds) - 1;

/// What an argument must be: (argument & mask) == value. With a mask of 0 anything.
struct ArgumentTest {
  unsigned argument = 0;
  std::uint64_t mask = 0;
  std::uint64_t value = 0;
};

/// An int: the kernel does not look at the upper half of the register, which may hold anything.
constexpr ArgumentTest is(unsigned argument, std::uint32_t value) { return {argument, UINT32_MAX, value}; }
/// A long, all of it.
constexpr ArgumentTest is_long(unsigned argument, std::uint64_t value) { return {argument, UINT64_MAX, value}; }
constexpr ArgumentTest has(unsigned argument, std::uint32_t bits) { return {argument, bits, bits}; }
constexpr ArgumentTest has_no(unsigned argument, std::uint32_t bits) { return {argument, bits, 0}; }

struct Rule {
  Kinds kinds;
  const char* call;
  const char* purpose;
  std::array<ArgumentTest, 2> tests = {};
  const char* tested = nullptr;   ///< the tests in words
  const char* untried = nullptr;  ///< why a run of the tests may make no use of it
};

/// An ioctl on one of KVM's descriptors.
constexpr Rule kvm(Kinds kinds, std::uint32_t request, const char* name, const char* purpose) {
  return {kinds, "ioctl", purpose, {is(1, request)}, name};
}

/// A rule that a run of the tests may make no use of.
constexpr Rule not_tried(const char* why, Rule rule) {
  rule.untried = why;
  return rule;
}

// The same on ARM64 and x86-64, whose headers the build machine may have.
inline constexpr std::uint32_t kProtExec = 4;
inline constexpr std::uint32_t kAfUnix = 1;
inline constexpr std::uint32_t kOpenPath = 0x20'0000;  ///< O_PATH: nothing of the file can be read or written
inline constexpr std::uint32_t kSigKill = 9;
inline constexpr std::uint32_t kSigStop = 19;
inline constexpr std::uint32_t kSigKick = 34;        ///< SIGRTMIN of the GNU C library
inline constexpr std::uint32_t kSetCloseOnExec = 2;  ///< F_SETFD
inline constexpr std::uint32_t kGetFlags = 3;        ///< F_GETFL
inline constexpr std::uint32_t kSetFlags = 4;        ///< F_SETFL
inline constexpr std::uint32_t kLockWait = 38;       ///< F_OFD_SETLKW
/// CLONE_VM | _FS | _FILES | _SIGHAND | _THREAD | _SYSVSEM | _SETTLS | _PARENT_SETTID | _CHILD_CLEARTID
inline constexpr std::uint64_t kNewThread = 0x3d0f00;

/// Main threads of the two processes, and the others.
inline constexpr Kinds kMains = kMain | kMachine;
inline constexpr Kinds kThreads = kAll & ~kMains;

inline constexpr Rule kRules[] = {
    // Running the guest.
    kvm(kVcpu, request::kRun, "KVM_RUN", "run the guest"),
    kvm(kVcpu, request::kSetVcpuEvents, "KVM_SET_VCPU_EVENTS", "a fault for an access that cannot be emulated"),
    kvm(kMachine | kVcpu, request::kIrqLine, "KVM_IRQ_LINE", "interrupts of console and clock"),

    // Every thread.
    {kAll, "futex", "locks, waiting for other threads"},
    {kAll & ~kNpu, "write", "wake an event loop; files, logs, the terminal"},
    {kNpu, "write", "tell that a job has ended"},
    not_tried("whose allocation makes the heap grow is chance", {kAll, "brk", "the heap"}),
    {kMachine | kControl, "mmap", "large allocations; files of KVM", {has_no(2, kProtExec)}, "no PROT_EXEC"},
    not_tried("whose allocation is large is chance",
              {kMain, "mmap", "large allocations", {has_no(2, kProtExec)}, "no PROT_EXEC"}),
    {kMains | kControl, "munmap", "large allocations; files of KVM"},
    not_tried("the terminal must be 64 KiB behind", {kOutput, "munmap", "large allocations"}),
    {kMains, "exit_group", "the end of the process"},
    not_tried("the tests of refused calls do", {kThreads, "exit_group", "the end of the process after a refused call"}),
    not_tried("which thread handles a signal is the kernel's choice",
              {kAll, "rt_sigreturn", "the end of a signal handler"}),
    {kAll & ~kMain, "rt_sigprocmask", "around sending signals, making and ending threads"},
    not_tried("the program would have to crash", {kAll,
                                                  "ioctl",
                                                  "put the terminal back in a crash",
                                                  {is(0, 0), is(1, request::kSetTerminal)},
                                                  "TCSETS of the standard input"}),
    // tcsetattr() of the GNU C library looks at the terminal before and after.
    not_tried("the program would have to crash", {kThreads,
                                                  "ioctl",
                                                  "put the terminal back in a crash",
                                                  {is(0, 0), is(1, request::kGetTerminal)},
                                                  "TCGETS of the standard input"}),
    not_tried("only on hosts whose clock the vDSO cannot read",
              {kMains | kVcpu | kControl | kNpu, "clock_gettime", "the time"}),
    not_tried("the thread must just then wait with a time limit",
              {kMains | kControl | kNpu, "restart_syscall", "go on waiting after SIGSTOP and SIGCONT"}),
    {kThreads, "madvise", "give back the stack of a thread that ends"},
    {kThreads, "exit", "the end of a thread"},

    // Event loops, sockets, files.
    {kMains, "read", "what woke an event loop; the terminal"},
    {kMains | kControl, "ppoll", "wait in an event loop, or for a reply"},
    {kOutput, "ppoll", "wait for a terminal that another program made non-blocking"},
    {kMains | kControl, "close", "descriptors"},
    {kMains, "accept4", "clients of console.sock, monitor.sock, vsock.sock and the legacy socket"},
    {kMains | kControl, "recvfrom", "bytes of a socket"},
    {kMains | kControl, "sendto", "bytes for a socket"},
    {kMains | kControl, "fcntl", "make a socket non-blocking", {is(1, kGetFlags)}, "F_GETFL"},
    {kMains | kControl, "fcntl", "make a socket non-blocking", {is(1, kSetFlags)}, "F_SETFL"},
    {kMachine | kControl, "socket", "connect to a service of the host, or to the guest", {is(0, kAfUnix)}, "AF_UNIX"},
    {kMachine | kControl, "connect", "connect to such a socket"},
    {kMains, "recvmsg", "messages between sisvmm and its machine; a stream's bytes, to the guest's buffers"},
    {kMains, "sendmsg", "messages between sisvmm and its machine; a stream's bytes, from the guest's buffers"},
    {kMachine, "getsockopt", "which process a client is"},
    {kMachine, "shutdown", "one direction of a stream"},
    {kMachine | kControl, "openat", "the folder of a socket with a long path", {has(2, kOpenPath)}, "O_PATH"},
    not_tried("only when 128 clients wait to be accepted",
              {kControl, "clock_nanosleep", "wait until the machine accepts one more client"}),

    // Parallel steps have threads of their own.
    {kControl, "clone", "a thread for a request of a parallel step", {is_long(0, kNewThread)}, "flags of a thread"},
    {kControl, "mprotect", "the stack of such a thread", {has_no(2, kProtExec)}, "no PROT_EXEC"},
    {kControl, "set_robust_list", "such a thread's first act"},
    {kControl, "rseq", "such a thread's second act"},

    // Reboot: the hardware is made anew.
    kvm(kMachine, request::kCreateVm, "KVM_CREATE_VM", "reboot"),
    kvm(kMachine, request::kCreateVcpu, "KVM_CREATE_VCPU", "reboot"),
    kvm(kMachine, request::kCreateDevice, "KVM_CREATE_DEVICE", "reboot"),
    kvm(kMachine, request::kSetUserMemoryRegion, "KVM_SET_USER_MEMORY_REGION", "reboot"),
    kvm(kMachine, request::kIrqfd, "KVM_IRQFD", "reboot"),
    kvm(kMachine, request::kIoeventfd, "KVM_IOEVENTFD", "reboot"),
    kvm(kMachine, request::kEnableCap, "KVM_ENABLE_CAP", "reboot"),
    kvm(kMachine, request::kPreferredTarget, "KVM_ARM_PREFERRED_TARGET", "reboot"),
    kvm(kMachine, request::kVcpuInit, "KVM_ARM_VCPU_INIT", "reboot"),
    kvm(kMachine, request::kGetOneReg, "KVM_GET_ONE_REG", "reboot, snapshot"),
    kvm(kMachine, request::kSetOneReg, "KVM_SET_ONE_REG", "reboot, snapshot"),
    kvm(kMachine, request::kHasDeviceAttr, "KVM_HAS_DEVICE_ATTR", "reboot"),
    kvm(kMachine, request::kSetDeviceAttr, "KVM_SET_DEVICE_ATTR", "reboot"),
    {kMachine, "eventfd2", "reboot: notifiers of interrupts and queues"},
    {kMachine, "newfstatat", "sockets at the end: is the file still ours"},
    {kMachine, "fallocate", "reboot: empty the guest's memory"},
    {kMachine, "pread64", "reboot, snapshot: kernel and initrd"},
    {kMachine, "getrandom", "reboot: the guest's seed"},

    // Snapshot: the machine's state, and the files that hold it, which sisvmm makes and hands over.
    kvm(kMachine, request::kGetRegList, "KVM_GET_REG_LIST", "snapshot"),
    kvm(kMachine, request::kGetMpState, "KVM_GET_MP_STATE", "snapshot"),
    kvm(kMachine, request::kGetVcpuEvents, "KVM_GET_VCPU_EVENTS", "snapshot"),
    kvm(kMachine, request::kGetDeviceAttr, "KVM_GET_DEVICE_ATTR", "snapshot"),
    {kMachine, "ftruncate", "snapshot: the size of the memory's file"},
    {kMachine, "lseek", "snapshot: memory that the guest has not touched"},
    {kMachine, "pwrite64", "snapshot: the guest's memory"},
    {kMain, "getdents64", "snapshot: is the folder empty"},
    {kMain, "fcntl", "snapshot: read the folder", {is(1, kSetCloseOnExec)}, "F_SETFD"},

    // Ends.
    {kMachine, "tgkill", "end KVM_RUN of a virtual CPU", {is(2, kSigKick)}, "SIGRTMIN"},
    {kMains, "tgkill", "Ctrl-Z", {is(2, kSigStop)}, "SIGSTOP"},
    {kMains, "getpid", "whom to send a signal"},
    {kMains, "gettid", "whom to send a signal"},
    {kMains, "rt_sigaction", "signals after the machine's end"},
    {kMains, "unlinkat", "sockets at the end"},
    {kMain, "kill", "end a machine that does not end by itself", {is(1, kSigKill)}, "SIGKILL"},
    {kMain, "wait4", "how the machine's process has ended"},

    // The supervisor: its files, its sockets, the terminal.
    {kMain, "openat", "reports, a snapshot's files, the lock of the list of machines"},
    {kMain, "newfstatat", "what is there already; the size of what is to be read"},
    not_tried("the GNU C library asks for about one name in twenty", {kMain, "getrandom", "names of new files"}),
    {kMain, "fchmod", "the modes of new files"},
    {kMain, "renameat", "give new files their names"},
    {kMain, "mkdirat", "a snapshot's folder, the list of machines"},
    {kMain, "fchmodat", "close the list of machines to others"},
    {kMain, "readlinkat", "is the machine's entry in that list its own"},
    {kMain, "geteuid", "whose the list of machines is"},
    {kMain, "faccessat", "can the run directory be written to without capabilities"},
    {kMain, "fcntl", "lock that list", {is(1, kLockWait)}, "F_OFD_SETLKW"},
    {kMain, "uname", "the host's kernel, for summary.json"},
    {kMain, "ioctl", "is the standard output a terminal", {is(1, request::kGetTerminal)}, "TCGETS"},
    {kMains,
     "ioctl",
     "take and put back the terminal",
     {is(0, 0), is(1, request::kSetTerminalDrained)},
     "TCSETSW of the standard input"},
    {kMachine,
     "ioctl",
     "take and put back the terminal",
     {is(0, 0), is(1, request::kGetTerminal)},
     "TCGETS of the standard input"},
};

}  // namespace vmm::sandbox
