#include "vmm/sandbox/sandbox.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>

#include "../filters.hpp"
#include "../rules.hpp"

namespace vmm::sandbox {
namespace {

#ifdef __aarch64__
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#endif
/// Beyond the last number that either has.
constexpr int kNumbers = 1024;

/// What the kernel does with a filter: seccomp(2), "Filters"; the instructions that make_filters makes use of.
std::uint32_t run_filter(std::span<const sock_filter> filter, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0;; ++at) {
    const sock_filter& step = filter[at];
    const auto jump = [&](bool taken) { at += taken ? step.jt : step.jf; };
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        // The filter reads the structure's bytes.
        std::memcpy(&accumulator, reinterpret_cast<const std::byte*>(&data) + step.k, sizeof accumulator);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= step.k;
        break;
      case BPF_JMP | BPF_JA:
        at += step.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(accumulator == step.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(accumulator >= step.k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        jump((accumulator & step.k) != 0);
        break;
      case BPF_RET | BPF_K:
        return step.k;
      default:
        ADD_FAILURE() << "instruction 0x" << std::hex << step.code << " is not known here";
        return 0;
    }
  }
}

seccomp_data call_of(int number) {
  seccomp_data data{};
  data.nr = number;
  data.arch = kArchitecture;
  // What no rule asks for.
  std::ranges::fill(data.args, 0xa585'a5a5'a585'a5a5);
  return data;
}

seccomp_data fulfilling(const Rule& rule, int number) {
  seccomp_data data = call_of(number);
  for (const ArgumentTest& test : rule.tests) {
    data.args[test.argument] = (data.args[test.argument] & ~test.mask) | test.value;
  }
  return data;
}

std::uint32_t action_of(ThreadKind kind, const seccomp_data& data) {
  return run_filter(filter_of(kind), data) & SECCOMP_RET_ACTION_FULL;
}

class EachKind : public testing::TestWithParam<unsigned> {
 protected:
  ThreadKind kind_ = static_cast<ThreadKind>(GetParam());
  [[nodiscard]] bool has(const Rule& rule) const { return (rule.kinds & one(kind_)) != 0; }
};

TEST_P(EachKind, allows_what_its_rules_say_and_traps_every_other_call) {
  std::size_t found = 0;
  for (int number = 0; number < kNumbers; ++number) {
    bool any_arguments = false;
    for (const Rule& rule : kRules) {
      if (!has(rule) || call_name(number) != rule.call) continue;
      ++found;
      any_arguments = any_arguments || rule.tested == nullptr;
      EXPECT_EQ(action_of(kind_, fulfilling(rule, number)), SECCOMP_RET_ALLOW) << rule.call << " for " << rule.purpose;
    }
    if (any_arguments) continue;
    const bool clone3 = kind_ == ThreadKind::Control && call_name(number) == "clone3";
    const std::uint32_t otherwise = clone3 ? SECCOMP_RET_ERRNO : SECCOMP_RET_TRAP;
    EXPECT_EQ(action_of(kind_, call_of(number)), otherwise) << call_name(number);
  }
  EXPECT_EQ(found, static_cast<std::size_t>(std::ranges::count_if(kRules, [&](const Rule& r) { return has(r); })));
}

TEST_P(EachKind, a_changed_bit_of_a_tested_argument_is_trapped) {
  for (int number = 0; number < kNumbers; ++number) {
    for (const Rule& rule : kRules) {
      if (!has(rule) || call_name(number) != rule.call) continue;
      for (const ArgumentTest& test : rule.tests) {
        for (std::uint64_t bit = 1; bit != 0; bit <<= 1) {
          seccomp_data data = fulfilling(rule, number);
          data.args[test.argument] ^= bit;
          const bool other_rule = std::ranges::any_of(kRules, [&](const Rule& other) {
            return has(other) && std::string_view(other.call) == rule.call &&
                   std::ranges::all_of(
                       other.tests, [&](const ArgumentTest& t) { return (data.args[t.argument] & t.mask) == t.value; });
          });
          if ((test.mask & bit) == 0 || other_rule) continue;
          EXPECT_EQ(action_of(kind_, data), SECCOMP_RET_TRAP) << rule.call << " for " << rule.purpose;
        }
      }
    }
  }
}

TEST_P(EachKind, calls_of_another_processor_kill) {
  seccomp_data data = call_of(SYS_write);
  ASSERT_EQ(action_of(kind_, data), SECCOMP_RET_ALLOW);
  data.arch = AUDIT_ARCH_ARM;
  EXPECT_EQ(action_of(kind_, data), SECCOMP_RET_KILL_PROCESS);
}

TEST_P(EachKind, memory_never_becomes_executable) {
  for (const Rule& rule : kRules) {
    const std::string_view call = rule.call;
    if (call != "mmap" && call != "mprotect") continue;
    EXPECT_TRUE(std::ranges::any_of(rule.tests, [](const ArgumentTest& test) {
      return test.argument == 2 && (test.mask & kProtExec) != 0 && (test.value & kProtExec) == 0;
    })) << call;
  }
}

INSTANTIATE_TEST_SUITE_P(Sandbox, EachKind, testing::Range(0U, kThreadKinds),
                         [](const auto& tested) { return name_of(static_cast<ThreadKind>(tested.param)); });

struct Ended {
  int code = 0;  ///< or, below zero, the signal
  std::string text;
};

/// Runs `body` in a process of its own, whose standard error is collected. It may make raw system calls only: a
/// sanitizer's own would be refused.
Ended run_in_child(const std::function<void()>& body) {
  int ends[2];
  if (::pipe(ends) != 0) return {.code = -1, .text = "no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    body();
    ::syscall(SYS_exit_group, 0);
  }
  ::close(ends[1]);
  Ended ended;
  char chunk[512];
  for (ssize_t got = 0; (got = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
    ended.text.append(chunk, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return ended;
}

void enter(ThreadKind kind, void (*before_exit)() = nullptr) {
  const auto sandbox = Sandbox::create(before_exit);
  if (!sandbox) ::_exit(99);
  sandbox->enter(kind);
}

TEST(Sandbox, confined_thread_makes_the_calls_of_its_kind) {
  const Ended ended = run_in_child([] {
    enter(ThreadKind::Control);
    const long socket = ::syscall(SYS_socket, kAfUnix, 1, 0);
    if (socket < 0 || ::syscall(SYS_close, socket) != 0) ::syscall(SYS_exit_group, 1);
    ::syscall(SYS_write, STDERR_FILENO, "still here", 10);
  });
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.text, "still here");
}

TEST(Sandbox, refused_call_ends_the_process_and_is_named_with_its_arguments) {
  const Ended ended = run_in_child([] {
    enter(ThreadKind::Vcpu);
    ::syscall(SYS_socket, 0x2, 0x1, 0x11);
    ::syscall(SYS_write, STDERR_FILENO, "went on", 7);
  });
  EXPECT_EQ(ended.code, static_cast<int>(abi::ExitCode::Internal));
  EXPECT_EQ(ended.text,
            "sisvmm: internal error: the vcpu thread made a system call that its sandbox refuses: "
            "socket(0x2, 0x1, 0x11, ...), number " +
                std::to_string(SYS_socket) + "; --no-sandbox does without\n");
}

TEST(Sandbox, number_without_a_call_is_refused_too) {
  const Ended ended = run_in_child([] {
    enter(ThreadKind::Main);
    ::syscall(kNumbers - 1);
  });
  EXPECT_EQ(ended.code, static_cast<int>(abi::ExitCode::Internal));
  EXPECT_NE(ended.text.find("refuses: system call("), std::string::npos) << ended.text;
}

TEST(Sandbox, what_is_to_be_done_before_the_exit_is_done_first) {
  const Ended ended = run_in_child([] {
    enter(ThreadKind::Output, [] { ::syscall(SYS_write, STDERR_FILENO, "first; ", 7); });
    ::syscall(SYS_socket, 1, 1, 0);
  });
  EXPECT_TRUE(ended.text.starts_with("first; sisvmm: internal error: the output thread")) << ended.text;
}

TEST(Sandbox, second_filter_and_new_privileges_are_out_of_reach) {
  const Ended ended = run_in_child([] {
    enter(ThreadKind::Machine);
    ::syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
  });
  EXPECT_EQ(ended.code, static_cast<int>(abi::ExitCode::Internal));
  EXPECT_NE(ended.text.find("refuses: prctl("), std::string::npos) << ended.text;
}

TEST(Sandbox, clone3_is_answered_as_by_a_kernel_that_has_none) {
  const Ended ended = run_in_child([] {
    enter(ThreadKind::Control);
    if (::syscall(SYS_clone3, nullptr, 0) != -1 || errno != ENOSYS) ::syscall(SYS_exit_group, 1);
  });
  EXPECT_EQ(ended.code, 0) << ended.text;
}

TEST(Sandbox, without_one_a_thread_is_named_and_not_confined) {
  const Ended ended = run_in_child([] {
    Sandbox().enter(ThreadKind::Vcpu);
    char name[16] = {};
    ::prctl(PR_GET_NAME, name);
    const bool free = ::prctl(PR_GET_SECCOMP) == 0 && ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
    ::_exit(free && std::strcmp(name, "vcpu") == 0 ? 0 : 1);
  });
  EXPECT_EQ(ended.code, 0);
}

}  // namespace
}  // namespace vmm::sandbox
