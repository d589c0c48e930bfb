#include "vmm/base/subprocess.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "vmm/base/unix_socket.hpp"

namespace vmm {
namespace {

using testing::HasSubstr;

bool is_readable(int fd, int timeout_ms) {
  pollfd wanted{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&wanted, 1, timeout_ms) == 1;
}

TEST(Subprocess, exit_code_is_reported_through_exit_fd_and_wait) {
  auto child = Subprocess::spawn({.arguments = {"sh", "-c", "exit 7"}, .inherited = {}});
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_TRUE(is_readable(child->exit_fd(), 10000));
  EXPECT_EQ(child->wait().code, 7);
  EXPECT_EQ(child->wait().describe(), "exited with code 7");
}

TEST(Subprocess, kill_ends_it_with_the_signal) {
  auto child = Subprocess::spawn({.arguments = {"sleep", "1000"}, .inherited = {}});
  ASSERT_TRUE(child);
  EXPECT_FALSE(is_readable(child->exit_fd(), 0));
  child->kill();
  EXPECT_EQ(child->wait().signal, SIGKILL);
  EXPECT_THAT(child->wait().describe(), HasSubstr("signal 9"));
}

TEST(Subprocess, destructor_leaves_nothing_behind) {
  pid_t pid = 0;
  {
    const auto child = Subprocess::spawn({.arguments = {"sleep", "1000"}, .inherited = {}});
    ASSERT_TRUE(child);
    pid = child->pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Subprocess, environment_is_ours_and_what_it_has_not) {
  auto pair = make_socket_pair();
  ASSERT_TRUE(pair);
  ::setenv("SIS_TEST_SET", "ours", 1);
  ::unsetenv("SIS_TEST_NEW");
  auto child = Subprocess::spawn({.arguments = {"sh", "-c", "echo $SIS_TEST_SET $SIS_TEST_NEW"},
                                  .standard_output = pair->second.get(),
                                  .inherited = {},
                                  .environment = {"SIS_TEST_SET=other", "SIS_TEST_NEW=a=b"}});
  ASSERT_TRUE(child);
  EXPECT_EQ(child->wait().code, 0);
  char text[100];
  const ssize_t got = ::read(pair->first.get(), text, sizeof text);
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(std::max<ssize_t>(got, 0))), "ours a=b\n");
}

TEST(Subprocess, inherits_exactly_the_given_descriptors_in_order) {
  // A descriptor without close-on-exec that must not get through, and inherited ones that overlap their new places.
  const UniqueFd stray(::open("/dev/null", O_RDONLY));
  const UniqueFd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const UniqueFd full(::open("/dev/full", O_RDONLY | O_CLOEXEC));
  auto pair = make_socket_pair();
  ASSERT_TRUE(pair);
  auto child = Subprocess::spawn({.arguments = {"sh", "-c", "ls -l /proc/$$/fd"},
                                  .standard_output = pair->second.get(),
                                  .inherited = {full.get(), zero.get()}});
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_TRUE(child->wait().ok());
  pair->second.reset();
  std::string text(4096, '\0');
  const ssize_t got = ::read(pair->first.get(), text.data(), text.size());
  ASSERT_GT(got, 0);
  text.resize(static_cast<std::size_t>(got));
  EXPECT_THAT(text, HasSubstr("0 -> /dev/null"));
  EXPECT_THAT(text, HasSubstr("3 -> /dev/full"));
  EXPECT_THAT(text, HasSubstr("4 -> /dev/zero"));
  EXPECT_THAT(text, testing::Not(HasSubstr(" 5 -> ")));
}

TEST(Subprocess, missing_program_is_named_and_means_the_host_lacks_it) {
  const auto child = Subprocess::spawn({.arguments = {"no-such-program-here"}, .inherited = {}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().message, "cannot start no-such-program-here: there is no such program");
  EXPECT_EQ(child.error().exit_code, abi::ExitCode::HostLacks);
}

TEST(Subprocess, program_that_cannot_be_executed_reports_why) {
  // An executable file that is no program: exec refuses it, and the child's errno must reach us.
  std::string name = testing::TempDir() + "sis-exec-XXXXXX";
  const UniqueFd fd(::mkstemp(name.data()));
  ASSERT_EQ(::write(fd.get(),
                    "\x7f"
                    "ELF",
                    4),
            4);
  ASSERT_EQ(::fchmod(fd.get(), 0700), 0);
  const auto child = Subprocess::spawn({.arguments = {name}, .inherited = {}});
  ::unlink(name.c_str());
  ASSERT_FALSE(child);
}

TEST(Subprocess, child_dies_when_its_parent_is_killed) {
  // A process between: it starts the grandchild, tells its number, and is killed.
  auto pair = make_socket_pair();
  ASSERT_TRUE(pair);
  const pid_t middle = ::fork();
  if (middle == 0) {
    auto child = Subprocess::spawn({.arguments = {"sleep", "1000"}, .inherited = {pair->second.get()}});
    const pid_t pid = child ? child->pid() : -1;
    if (::write(pair->second.get(), &pid, sizeof pid) != static_cast<ssize_t>(sizeof pid)) ::_exit(1);
    ::pause();
  }
  pair->second.reset();
  pid_t grandchild = 0;
  ASSERT_EQ(::read(pair->first.get(), &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  ASSERT_GT(grandchild, 0);
  ::kill(middle, SIGKILL);
  ::waitpid(middle, nullptr, 0);
  // The grandchild holds the other end; its death closes it.
  ASSERT_TRUE(is_readable(pair->first.get(), 10000)) << "the grandchild lives on";
  char byte;
  EXPECT_EQ(::read(pair->first.get(), &byte, 1), 0);
}

TEST(RunProgram, output_and_status) {
  const auto output = run_program({"sh", "-c", "echo out; echo err >&2; exit 3"}, 10000);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "out\nerr\n");
  EXPECT_EQ(output->status.code, 3);
}

TEST(RunProgram, program_that_does_not_end_is_killed) { EXPECT_FALSE(run_program({"sleep", "1000"}, 50)); }

TEST(RunProgram, endless_output_is_an_error) { EXPECT_FALSE(run_program({"yes"}, 10000)); }

}  // namespace
}  // namespace vmm
