// The shell with the real command table: lines from a console and from control requests.
#include "guest/shell/shell.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "guest/control/testing/fake_machine.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"

namespace guest::shell {
namespace {

using control::testing::FakeMachine;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class FakeConsole final : public kernel::TextOutput, public ByteSource {
 public:
  void write(std::string_view part) override { output += part; }
  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), typed.size());
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = static_cast<std::byte>(typed[i]);
    }
    typed.erase(0, count);
    return count;
  }
  std::string output;
  std::string typed;
};

class FakeCaller final : public control::Caller {
 public:
  void complete(std::span<const std::byte> encoded) override { result = json::from_cbor(encoded); }
  void fail(const control::Refusal& refusal) override {
    failure = std::string(refusal.code) + ": " + std::string(refusal.message.view());
  }
  void defer(control::Operation& with) override { operation = &with; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte>) override { return false; }
  json result;
  std::string failure;
  control::Operation* operation = nullptr;
};

class ShellTest : public ::testing::Test {
 protected:
  void SetUp() override {
    machine.services.shell = &shell;
    shell.start();
    console.output.clear();
  }
  /// What the console shows for what is typed, echo and prompt included.
  std::string type(std::string_view text) {
    console.output.clear();
    console.typed += text;
    shell.on_input();
    return console.output;
  }
  /// What a line prints on the console.
  std::string run(const std::string& line) {
    const std::string shown = type(line + "\r");
    const std::string head = line + "\n";
    EXPECT_TRUE(shown.starts_with(head) && shown.ends_with(kPrompt)) << shown;
    return shown.substr(head.size(), shown.size() - head.size() - kPrompt.size());
  }
  /// A line of a control request: {output, status}, or {code, message}; null: it completes later.
  json request(std::string_view line, abi::control::Rights rights = abi::control::Rights::All) {
    std::vector<std::byte> memory(65536);
    control::CborWriter writer(memory);
    control::ResultMap result(writer);
    const auto handled = shell.run_line(line, {.rights = rights}, caller, result);
    if (!handled) {
      return {{"code", handled.error().code}, {"message", handled.error().message.view()}};
    }
    if (*handled == control::Handled::Later) {
      return nullptr;
    }
    result.finish();
    EXPECT_FALSE(writer.overflowed());
    return json::from_cbor(writer.written());
  }

  FakeMachine machine;
  FakeConsole console;
  FakeCaller caller;
  Shell shell{machine.services, &console, &console};
};

TEST_F(ShellTest, commands_run_in_order_and_failures_do_not_stop_the_line) {
  EXPECT_EQ(run("echo one; nonsense; echo 'two  three' \"a;b\""),
            "one\nnonsense: no such command; 'help' lists them\ntwo  three a;b\n");
}

TEST_F(ShellTest, history_that_others_see_has_no_secrets) {
  run("ctladmin 1234");
  run("echo ctl");
  EXPECT_EQ(shell.history(0), "(a line with a secret)");
  EXPECT_EQ(shell.history(1), "echo ctl");
}

TEST_F(ShellTest, line_of_the_boot_runs_as_if_typed) {
  shell.start("echo one; sleep 10; echo two");
  EXPECT_EQ(console.output, "sis> echo one; sleep 10; echo two\none\n");
  machine.advance_ns(10'000'000);
  EXPECT_EQ(console.output, "sis> echo one; sleep 10; echo two\none\ntwo\nsis> ");
}

TEST_F(ShellTest, line_of_the_boot_is_shown_without_its_control_characters) {
  shell.start("echo a\x1b[2J");
  EXPECT_EQ(console.output, "sis> echo a\\x1b[2J\na\\x1b[2J\nsis> ");
}

TEST_F(ShellTest, line_of_the_boot_that_is_wrong_is_told_and_not_run) {
  shell.start("echo one; echo 'two");
  EXPECT_EQ(console.output, "sis> echo one; echo 'two\ncolumn 16: the quote ' is not closed\nsis> ");
}

TEST(ShellBoot, top_in_the_line_of_the_boot_ends_by_itself) {
  FakeMachine machine;
  FakeConsole console;
  Shell shell(machine.services, &console, &console);
  machine.services.shell = &shell;
  shell.start("top; echo after");
  machine.advance_ns(1'000'000'000);
  EXPECT_THAT(console.output, HasSubstr("\ninterval_ns: "));
  EXPECT_TRUE(console.output.ends_with("after\nsis> ")) << console.output;
  console.output.clear();
  console.typed = "top\r";  // what is typed from then on is watched
  shell.on_input();
  machine.advance_ns(1'000'000'000);
  EXPECT_THAT(console.output, HasSubstr("q ends this\n"));
  console.typed = "q";
  shell.on_input();
  machine.advance_ns(1);  // what is cancelled goes with its timer
}

TEST_F(ShellTest, nothing_runs_of_a_line_that_is_wrong_further_on) {
  EXPECT_EQ(run("echo one; echo 'two"), "column 16: the quote ' is not closed\n");
}

TEST_F(ShellTest, errors_name_command_and_argument) {
  EXPECT_EQ(run("shutdown 256"), "shutdown: code: found 256, allowed: an integer from 0 to 255\n");
  EXPECT_EQ(run("ping --paylod x"), "ping: unknown argument 'paylod', allowed: payload\n");
  EXPECT_EQ(run("sleep"), "sleep: ms is missing: milliseconds, up to one hour\n");
  EXPECT_TRUE(machine.power.events.empty());
}

TEST_F(ShellTest, text_of_the_user_is_never_a_record_on_the_console) {
  EXPECT_THAT(run("echo \"\\x1e\""), HasSubstr("unknown escape"));
  EXPECT_EQ(run("echo \"a\\nb\\r\""), "a\\nb\\x0d\n");
  EXPECT_THAT(type("echo \x1e SIS-EXIT\r"), Not(HasSubstr("\x1e")));
}

TEST_F(ShellTest, sleep_suspends_the_line_and_not_the_shell) {
  type("sleep 10; echo done\r");
  EXPECT_EQ(console.output, "sleep 10; echo done\n");
  EXPECT_EQ(type("echo next\r"), "");  // typed ahead
  EXPECT_EQ(request("echo meanwhile")["output"], "meanwhile\n");
  console.output.clear();
  machine.advance_ns(10'000'000);
  EXPECT_EQ(console.output, "done\nsis> echo next\nnext\nsis> ");
}

TEST_F(ShellTest, top_is_shown_in_place_each_second_until_q) {
  type("top; echo after\r");
  for (int second = 0; second < 3; ++second) {
    console.output.clear();
    machine.advance_ns(1'000'000'000);
    EXPECT_TRUE(console.output.starts_with("\x1b[H\x1b[Jinterval_ns: ")) << console.output;
    EXPECT_TRUE(console.output.ends_with("q ends this\n")) << console.output;
  }
  EXPECT_EQ(type("x"), "");  // kept, and dropped with the line
  EXPECT_EQ(type("q"), "sis> ");
  EXPECT_EQ(run("echo then"), "then\n");
  machine.advance_ns(10'000'000'000);
  EXPECT_EQ(console.output.find("interval_ns"), std::string::npos);
}

TEST_F(ShellTest, top_with_a_time_and_of_a_request_is_shown_once) {
  type("top 1000\r");
  console.output.clear();
  machine.advance_ns(1'000'000'000);
  EXPECT_TRUE(console.output.starts_with("interval_ns: ")) << console.output;
  EXPECT_TRUE(console.output.ends_with("sis> ")) << console.output;
  EXPECT_EQ(request("top"), nullptr);
  machine.advance_ns(1'000'000'000);
  EXPECT_EQ(caller.result["status"], 0);
}

class ShellWatchTest : public ShellTest {
 protected:
  void SetUp() override {
    ShellTest::SetUp();
    ASSERT_TRUE(machine.trace.reserve(machine.pages, machine.timer, 1));
    machine.trace.set_on(true);
  }
  void record(std::uint32_t intid) {
    machine.trace.record(kernel::TraceType::InterruptEnter, intid);
    machine.advance_ns(100'000'000);
  }
};

TEST_F(ShellWatchTest, events_are_printed_as_they_come_until_q) {
  type("watch trace; echo after\r");
  console.output.clear();
  record(1);
  EXPECT_EQ(console.output, "time_ns=1000000000  cpu=0  event=irq-enter  intid=1\n");
  record(2);
  EXPECT_THAT(console.output, HasSubstr("intid=2\n"));
  EXPECT_EQ(type("x"), "");
  EXPECT_EQ(type("q"), "sis> ");
  record(3);
  EXPECT_EQ(console.output, "sis> ");
}

TEST_F(ShellWatchTest, interrupt_ends_it_even_where_it_has_a_count) {
  type("watch trace --count 1\r");
  EXPECT_EQ(type("\x03"), "^C\nsis> ");
  record(1);
  EXPECT_EQ(console.output, "^C\nsis> ");
}

TEST_F(ShellWatchTest, what_is_typed_ahead_does_not_keep_q_out) {
  type("watch trace\r");
  type(std::string(kMaxTypeAhead + 100, 'x'));
  EXPECT_EQ(console.typed.size(), 0U);
  EXPECT_EQ(type("q"), "sis> ");
  machine.run();  // what was ended frees itself
}

TEST_F(ShellWatchTest, a_count_ends_it_and_the_line_goes_on) {
  type("watch trace --count 1; echo after\r");
  record(1);
  EXPECT_TRUE(console.output.ends_with("intid=1\nevents: 1\nlost: 0\nend: count\nafter\nsis> ")) << console.output;
}

TEST_F(ShellWatchTest, lost_ones_are_told) {
  type("watch trace --count 70\r");
  console.output.clear();
  for (std::uint32_t i = 0; i < kernel::Trace::kEvents + 5; ++i) {
    machine.trace.record(kernel::TraceType::InterruptEnter, i);
  }
  record(0);
  EXPECT_TRUE(console.output.starts_with("(6 lost)\ntime_ns=1000000000  cpu=0  event=irq-enter  intid=6\n"))
      << console.output;
  EXPECT_THAT(console.output, HasSubstr("events: 70\nlost: 6\n"));
}

TEST_F(ShellWatchTest, line_of_a_request_or_of_the_boot_needs_a_count) {
  const std::string refused = "watch trace: without a count it does not end: give one\n";
  EXPECT_EQ(request("watch trace; echo after"), json({{"output", refused + "after\n"}, {"status", 0}}));
  EXPECT_EQ(request("watch trace"), json({{"output", refused}, {"status", 1}}));
  EXPECT_EQ(request("watch trace --count 1"), nullptr);
  record(1);
  EXPECT_THAT(caller.result["output"].get<std::string>(), HasSubstr("intid=1\nevents: 1\n"));
  EXPECT_EQ(caller.result["status"], 0);

  FakeConsole console_of_boot;
  Shell boot(machine.services, &console_of_boot, &console_of_boot);
  boot.start("watch trace");
  EXPECT_EQ(console_of_boot.output, "sis> watch trace\n" + refused + "sis> ");
}

TEST_F(ShellTest, interrupt_cancels_the_line_and_what_was_typed_ahead) {
  type("sleep 10000; echo done\recho ahead\r");
  EXPECT_EQ(type("\x03"), "^C\nsis> ");
  machine.advance_ns(20'000'000'000);
  EXPECT_EQ(run("echo after"), "after\n");
}

TEST_F(ShellTest, too_much_typed_ahead_stays_with_the_driver) {
  type("sleep 10\r");
  type(std::string(3000, 'x'));
  EXPECT_EQ(console.typed.size(), 3000 - kMaxTypeAhead);
  machine.advance_ns(10'000'000);
  EXPECT_EQ(console.typed.size(), 0U);
}

TEST_F(ShellTest, lines_of_several_sleeps_typed_ahead_all_run) {
  type("sleep 1; echo a\rsleep 1; echo b\rsleep 1; echo c\r");
  machine.advance_ns(1'000'000);
  machine.advance_ns(1'000'000);
  machine.advance_ns(1'000'000);
  EXPECT_THAT(console.output, HasSubstr("a\nsis> sleep 1; echo b\nb\nsis> sleep 1; echo c\nc\nsis> "));
}

TEST_F(ShellTest, history_lists_console_lines_only) {
  run("echo one");
  request("echo two");
  EXPECT_EQ(run("history"), "   1  echo one\n   2  history\n");
}

TEST_F(ShellTest, shutdown_on_the_console_is_carried_out_at_the_end_of_the_line) {
  type("shutdown 3; echo last\r");
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"off 3"});
  EXPECT_THAT(console.output, HasSubstr("last\n"));
}

TEST_F(ShellTest, request_line_returns_output_and_status) {
  EXPECT_EQ(request("echo 'a  b' \"c;d\""), (json{{"output", "a  b c;d\n"}, {"status", 0}}));
  EXPECT_EQ(request("echo x; nonsense")["status"], 1);
  EXPECT_EQ(request("nonsense; echo x")["status"], 0);
  EXPECT_EQ(request(""), (json{{"output", ""}, {"status", 0}}));
  EXPECT_EQ(console.output, "");
}

TEST_F(ShellTest, request_line_that_cannot_be_parsed_is_refused) {
  EXPECT_EQ(request("echo x; echo \"y"),
            (json{{"code", "bad-argument"}, {"message", "line: byte 13: the quote \" is not closed"}}));
  EXPECT_EQ(request(std::string(kMaxRequestLine + 1, ' '))["code"], "bad-argument");
}

TEST_F(ShellTest, request_line_has_the_rights_of_its_token) {
  using abi::control::Rights;
  EXPECT_EQ(request("shutdown", Rights::Observe),
            (json{{"output", "shutdown: forbidden: it needs rights 0x4, the token gives 0x1\n"}, {"status", 1}}));
  EXPECT_EQ(request("echo x", Rights::None)["status"], 0);
  EXPECT_EQ(machine.services.power_request.kind, control::PowerRequest::Kind::None);
}

TEST_F(ShellTest, shell_inside_the_shell_is_refused) {
  EXPECT_EQ(request("shell 'echo x'")["output"], "shell: only for control requests\n");
}

TEST_F(ShellTest, output_past_the_limit_is_an_error_and_never_cut) {
  const std::string line = "echo " + std::string(3900, 'x');
  EXPECT_EQ(request(line)["output"].get<std::string>().size(), 3901U);
  // The history is the longest result there is: 32 lines of 1 KiB.
  for (int i = 0; i < 32; ++i) {
    run("echo " + std::to_string(i) + std::string(990, 'y'));
  }
  EXPECT_LT(request("history")["output"].get<std::string>().size(), kMaxRequestOutput);
  const json refused = request("history; history");
  const std::string why = "the commands were run, but what they print passes 49152 bytes: ask for less in one line";
  EXPECT_EQ(refused, (json{{"code", "too-large"}, {"message", why}}));
  EXPECT_EQ(request("sleep 1; history; history"), nullptr);
  machine.advance_ns(1'000'000);
  EXPECT_EQ(caller.failure, "too-large: " + why);
}

TEST_F(ShellTest, result_that_no_answer_would_hold_is_refused) {
  static std::deque<std::string> names;
  static std::deque<kernel::Counter> counters;  // the machine looks at them as long as it is there
  for (int i = 0; i < 1000; ++i) {
    names.push_back("counter_" + std::to_string(i) + std::string(80, 'x'));
    ASSERT_TRUE(machine.counters.add(counters.emplace_back(names.back())));
  }
  EXPECT_EQ(run("counters"), "counters: the result is longer than 65536 bytes\n");
}

TEST_F(ShellTest, line_that_is_too_long_is_refused) {
  EXPECT_EQ(request("echo " + std::string(4092, 'x')),
            (json{{"code", "bad-argument"}, {"message", "line: byte 4096: the line is longer than 4096 bytes"}}));
}

TEST_F(ShellTest, request_line_without_memory_is_refused) {
  const kernel::FailingMemory memory(0);
  EXPECT_EQ(request("echo a"), (json{{"code", "busy"}, {"message", "no memory to run a shell line"}}));
}

TEST_F(ShellTest, request_line_with_sleep_completes_later) {
  EXPECT_EQ(request("echo a; sleep 5; echo b"), nullptr);
  ASSERT_NE(caller.operation, nullptr);
  machine.advance_ns(5'000'000);
  EXPECT_EQ(caller.result, (json{{"output", "a\nb\n"}, {"status", 0}}));
}

TEST_F(ShellTest, request_line_can_be_cancelled) {
  EXPECT_EQ(request("sleep 5; shutdown"), nullptr);
  caller.operation->cancel();
  machine.advance_ns(10'000'000);
  EXPECT_EQ(caller.result, nullptr);
  EXPECT_EQ(machine.services.power_request.kind, control::PowerRequest::Kind::None);
}

TEST(ShellWithoutConsole, serves_requests) {
  FakeMachine machine;
  Shell shell(machine.services, nullptr, nullptr);
  shell.start();
  shell.on_input();
  std::vector<std::byte> memory(65536);
  control::CborWriter writer(memory);
  control::ResultMap result(writer);
  FakeCaller caller;
  ASSERT_TRUE(shell.run_line("version", {.rights = abi::control::Rights::All}, caller, result).has_value());
  result.finish();
  EXPECT_EQ(json::from_cbor(writer.written())["status"], 0);
}

}  // namespace
}  // namespace guest::shell
