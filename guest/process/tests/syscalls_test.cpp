#include "guest/process/syscalls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "guest/process/testing/fake_task.hpp"

namespace guest::process {
namespace {

using testing::FakeTask;

struct Time {
  std::int64_t seconds;
  std::int64_t nanoseconds;
};

constexpr std::uint64_t kUserEnd = std::uint64_t{1} << 47;
constexpr std::uint64_t kKernelPointer = 0xffff'8000'0000'0000;

class SyscallsTest : public ::testing::Test {
 protected:
  /// As the task sees it: a result or -errno. Numbers as in Linux, written out.
  std::int64_t call(std::uint64_t number, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) {
    return static_cast<std::int64_t>(system_call({number, {a, b, c, 0, 0, 0}}, task));
  }
  Time time_at(std::uint64_t address) {
    Time out{};
    std::memcpy(&out, &task.memory[address - FakeTask::kMemory], sizeof(out));
    return out;
  }
  FakeTask task;
};

TEST_F(SyscallsTest, write_copies_every_byte_to_the_console) {
  for (std::size_t i = 0; i < task.memory.size(); ++i) {
    task.memory[i] = static_cast<std::byte>(i % 251);
  }
  EXPECT_EQ(call(64, 1, FakeTask::kMemory, 4096), 4096);
  const auto* const text = reinterpret_cast<const char*>(task.memory.data());
  EXPECT_EQ(task.console, std::string(text, 4096));
  EXPECT_EQ(call(64, 2, FakeTask::kMemory + 1, 3), 3);
  EXPECT_EQ(task.console.substr(4096), std::string(text + 1, 3));
  EXPECT_LE(task.largest_copy, 256U);  // the kernel's stack is small
}

TEST_F(SyscallsTest, write_to_other_descriptors_is_ebadf) {
  for (const std::uint64_t fd : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{1} << 31, ~std::uint64_t{0}}) {
    EXPECT_EQ(call(64, fd, FakeTask::kMemory, 1), -9) << fd;
  }
  EXPECT_EQ(call(64, (std::uint64_t{1} << 32) + 1, FakeTask::kMemory, 1), 1);  // its upper half does not count
}

TEST_F(SyscallsTest, write_from_where_the_task_has_nothing_is_efault) {
  for (const std::uint64_t address : {std::uint64_t{0}, FakeTask::kMemory - 1, FakeTask::kMemory + 4096, kUserEnd,
                                      kKernelPointer, ~std::uint64_t{0}}) {
    EXPECT_EQ(call(64, 1, address, 8), -14) << std::hex << address;
  }
  EXPECT_EQ(task.console, "");
}

TEST_F(SyscallsTest, write_that_runs_out_of_memory_is_partial) {
  EXPECT_EQ(call(64, 1, FakeTask::kMemory + 3096, 1001), 1000);
  EXPECT_EQ(task.console, std::string(1000, 'm'));
  EXPECT_EQ(call(64, 1, FakeTask::kMemory + 4095, ~std::uint64_t{0}), 1);
}

TEST_F(SyscallsTest, write_of_nothing_is_zero) {
  EXPECT_EQ(call(64, 1, kKernelPointer, 0), 0);
  EXPECT_EQ(task.console, "");
}

TEST_F(SyscallsTest, exit_and_exit_group_give_the_low_8_bits) {
  call(93, 0x1fe);
  EXPECT_EQ(task.exit_status, 0xfeU);
  call(94, 3);
  EXPECT_EQ(task.exit_status, 3U);
}

TEST_F(SyscallsTest, clocks_tell_time_in_seconds_and_nanoseconds) {
  const std::uint64_t at = FakeTask::kMemory + 8;
  EXPECT_EQ(call(113, 1, at), 0);
  EXPECT_EQ(time_at(at).seconds, 5);
  EXPECT_EQ(time_at(at).nanoseconds, 1);
  EXPECT_EQ(call(113, 3, at), 0);
  EXPECT_EQ(time_at(at).seconds, 7);
  EXPECT_EQ(time_at(at).nanoseconds, 123);
  task.unix_time = 1'700'000'000'999'999'999;
  EXPECT_EQ(call(113, 0, at), 0);
  EXPECT_EQ(time_at(at).seconds, 1'700'000'006);
  EXPECT_EQ(time_at(at).nanoseconds, 0);
}

TEST_F(SyscallsTest, realtime_without_a_wall_clock_starts_in_1970) {
  EXPECT_EQ(call(113, 0, FakeTask::kMemory), 0);
  EXPECT_EQ(time_at(FakeTask::kMemory).seconds, 5);
}

TEST_F(SyscallsTest, unknown_clock_is_einval_and_bad_pointer_efault) {
  for (const std::uint64_t clock : {2U, 4U, 7U, 0xffff'ffffU}) {
    EXPECT_EQ(call(113, clock, FakeTask::kMemory), -22);
  }
  EXPECT_EQ(call(113, 1, 0), -14);
  EXPECT_EQ(call(113, 1, kKernelPointer), -14);
  EXPECT_EQ(call(113, 1, FakeTask::kMemory + FakeTask::kReadOnlyFrom - 8), -14);  // the second half does not fit
}

TEST_F(SyscallsTest, nanosleep_sleeps_from_now_on) {
  EXPECT_EQ(call(101, task.put(Time{2, 500})), 0);
  EXPECT_EQ(task.slept_until, task.now + 2'000'000'500);
}

TEST_F(SyscallsTest, nanosleep_that_never_ends_does_not_wrap) {
  EXPECT_EQ(call(101, task.put(Time{std::numeric_limits<std::int64_t>::max(), 999'999'999})), 0);
  EXPECT_EQ(task.slept_until, ~std::uint64_t{0});
  // The largest that fits before the present is added.
  EXPECT_EQ(call(101, task.put(Time{18'446'744'073, 709'551'615})), 0);
  EXPECT_EQ(task.slept_until, ~std::uint64_t{0});
}

TEST_F(SyscallsTest, nanosleep_of_a_bad_time_is_einval_and_of_a_bad_pointer_efault) {
  for (const Time time : {Time{-1, 0}, Time{0, -1}, Time{0, 1'000'000'000}}) {
    EXPECT_EQ(call(101, task.put(time)), -22);
  }
  EXPECT_EQ(call(101, 0), -14);
  EXPECT_EQ(call(101, FakeTask::kMemory + 4096 - 8), -14);
  EXPECT_FALSE(task.slept_until.has_value());
}

TEST_F(SyscallsTest, yield_pid_and_brk_ask_the_task) {
  EXPECT_EQ(call(124), 0);
  EXPECT_EQ(task.yields, 1U);
  EXPECT_EQ(call(172), 42);
  EXPECT_EQ(call(214, 0x1000), 0x1001);
}

TEST_F(SyscallsTest, other_numbers_are_enosys_and_counted) {
  const std::uint64_t before = unknown_syscalls().value();
  for (const std::uint64_t number :
       {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{220}, std::uint64_t{1} << 32 | 64, ~std::uint64_t{0}}) {
    EXPECT_EQ(call(number, 1, FakeTask::kMemory, 1), -38) << number;
  }
  EXPECT_EQ(unknown_syscalls().value(), before + 5);
  call(172);
  EXPECT_EQ(unknown_syscalls().value(), before + 5);
}

}  // namespace
}  // namespace guest::process
