#include "guest/process/syscalls.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace guest::process {
namespace {

/// Linux, include/linux/fs.h, MAX_RW_COUNT with pages of 4 KiB.
constexpr std::uint64_t kMaxWriteBytes = 0x7fff'f000;
/// A write goes through the kernel's stack in pieces of this size.
constexpr std::size_t kPieceBytes = 256;

/// Linux, include/uapi/linux/time_types.h, struct __kernel_timespec.
struct Timespec {
  std::int64_t tv_sec;
  std::int64_t tv_nsec;
};
static_assert(sizeof(Timespec) == 16 && std::is_trivially_copyable_v<Timespec>);

/// Linux, include/uapi/linux/time.h.
enum class ClockId : std::uint32_t { Realtime = 0, Monotonic = 1, ThreadCputime = 3 };

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::uint64_t write(std::uint64_t fd, std::uint64_t from, std::uint64_t count, TaskServices& task) {
  // A file descriptor is an unsigned int to Linux: the upper half of the register does not count.
  const auto descriptor = static_cast<std::uint32_t>(fd);
  if (descriptor != 1 && descriptor != 2) {
    return error(Errno::BadFileDescriptor);
  }
  const std::uint64_t wanted = std::min(count, kMaxWriteBytes);
  std::uint64_t done = 0;
  while (done < wanted) {
    char piece[kPieceBytes];
    const std::size_t size = std::min<std::uint64_t>(sizeof(piece), wanted - done);
    const std::size_t copied = task.copy_from_user(std::as_writable_bytes(std::span(piece, size)), from + done);
    if (copied != 0) {
      task.write_console({piece, copied});
      done += copied;
    }
    if (copied < size) {
      // POSIX, write(): what was written before the error counts; the next call meets the error.
      return done != 0 ? done : error(Errno::BadAddress);
    }
  }
  return done;
}

std::uint64_t clock_gettime(std::uint64_t clock, std::uint64_t to, TaskServices& task) {
  std::uint64_t ns = 0;
  switch (ClockId{static_cast<std::uint32_t>(clock)}) {
    case ClockId::Realtime:
      // Without a wall clock the machine was switched on in 1970, as with Linux.
      ns = task.unix_time_at_reset_ns() + task.now_ns();
      break;
    case ClockId::Monotonic:
      ns = task.now_ns();
      break;
    case ClockId::ThreadCputime:
      ns = task.cpu_time_ns();
      break;
    default:
      return error(Errno::Invalid);
  }
  const Timespec time{.tv_sec = static_cast<std::int64_t>(ns / kNsPerSecond),
                      .tv_nsec = static_cast<std::int64_t>(ns % kNsPerSecond)};
  const auto bytes = std::as_bytes(std::span(&time, 1));
  return task.copy_to_user(to, bytes) == bytes.size() ? 0 : error(Errno::BadAddress);
}

/// The second argument, where Linux puts the time that is left after a signal, is not used: there are no signals.
std::uint64_t nanosleep(std::uint64_t from, TaskServices& task) {
  Timespec time;
  const auto bytes = std::as_writable_bytes(std::span(&time, 1));
  if (task.copy_from_user(bytes, from) != bytes.size()) {
    return error(Errno::BadAddress);
  }
  if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= kNsPerSecond) {
    return error(Errno::Invalid);
  }
  std::uint64_t deadline = 0;
  if (__builtin_mul_overflow(time.tv_sec, kNsPerSecond, &deadline) ||
      __builtin_add_overflow(deadline, time.tv_nsec, &deadline) ||
      __builtin_add_overflow(deadline, task.now_ns(), &deadline)) {
    deadline = std::numeric_limits<std::uint64_t>::max();  // in 584 years
  }
  task.sleep_until(deadline);
  return 0;
}

std::uint64_t exit(std::uint64_t status, TaskServices& task) {
  task.exit(static_cast<std::uint8_t>(status));  // POSIX, _exit(): the low 8 bits
  return 0;
}

}  // namespace

kernel::Counter& unknown_syscalls() {
  static constinit kernel::Counter counter{"unknown_syscalls"};
  return counter;
}

std::uint64_t system_call(const SyscallArguments& call, TaskServices& task) {
  const std::uint64_t(&values)[6] = call.values;
  switch (SyscallNumber{call.number}) {
    case SyscallNumber::Write:
      return write(values[0], values[1], values[2], task);
    case SyscallNumber::Exit:
    case SyscallNumber::ExitGroup:
      return exit(values[0], task);
    case SyscallNumber::Nanosleep:
      return nanosleep(values[0], task);
    case SyscallNumber::ClockGettime:
      return clock_gettime(values[0], values[1], task);
    case SyscallNumber::SchedYield:
      task.yield();
      return 0;
    case SyscallNumber::Getpid:
      return task.pid();
    case SyscallNumber::Brk:
      return task.brk(values[0]);
    case SyscallNumber::LlmSubmit:
      return llm_submit(values[0], values[1], task);
    case SyscallNumber::LlmPoll:
      return llm_poll(values[0], values[1], values[2], task);
    case SyscallNumber::LlmCancel:
      return llm_cancel(values[0], values[1], task);
  }
  unknown_syscalls().add();
  return error(Errno::NotImplemented);
}

}  // namespace guest::process
