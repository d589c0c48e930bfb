#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/cli/escape.hpp"
#include "vmm/cli/format.hpp"
#include "vmm/cli/options.hpp"

namespace vmm::cli {
namespace {

using std::chrono::nanoseconds;
using testing::HasSubstr;

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "sisvmm");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), "9.8.7");
}

TEST(CommandLine, run_with_everything) {
  const auto parsed = parse({"run", "f.yaml", "--name", "n", "--run-dir", "d", "--cpus", "4", "--memory", "1GiB",
                             "--timeout", "2.5", "--json", "--kernel", "k"});
  ASSERT_TRUE(parsed.command) << parsed.text;
  const auto& run = std::get<RunOptions>(*parsed.command);
  EXPECT_EQ(run.file, "f.yaml");
  EXPECT_EQ(run.name, "n");
  EXPECT_EQ(run.run_dir, "d");
  EXPECT_EQ(run.kernel, "k");
  EXPECT_EQ(run.timeout_s, 2.5);
  EXPECT_TRUE(run.json);
  ASSERT_EQ(run.overrides.size(), 2U);
  EXPECT_EQ(run.overrides[0].key, "machine.cpus");
  EXPECT_EQ(run.overrides[0].value, "4");
  EXPECT_EQ(run.overrides[1].option, "--memory");
}

TEST(CommandLine, nothing_replaces_the_scenario_unless_given) {
  const auto parsed = parse({"run", "f.yaml"});
  ASSERT_TRUE(parsed.command);
  EXPECT_TRUE(std::get<RunOptions>(*parsed.command).overrides.empty());
}

TEST(CommandLine, every_command_is_known) {
  EXPECT_TRUE(std::holds_alternative<CheckOptions>(*parse({"check", "a", "b"}).command));
  EXPECT_TRUE(std::holds_alternative<DoctorOptions>(*parse({"doctor", "--json"}).command));
  EXPECT_TRUE(std::holds_alternative<ListOptions>(*parse({"ls"}).command));
  EXPECT_EQ(std::get<StopOptions>(*parse({"stop", "m", "--timeout", "0"}).command).timeout_s, 0.0);
  EXPECT_EQ(std::get<ConsoleOptions>(*parse({"console", "m"}).command).name, "m");
  EXPECT_TRUE(std::holds_alternative<SchemaOptions>(*parse({"schema"}).command));
}

TEST(CommandLine, wrong_usage_gives_2_and_says_what) {
  for (const std::vector<const char*>& wrong : std::vector<std::vector<const char*>>{{},
                                                                                     {"run"},
                                                                                     {"frobnicate"},
                                                                                     {"run", "f", "--bogus"},
                                                                                     {"run", "f", "--timeout", "x"},
                                                                                     {"run", "f", "--timeout", "0"},
                                                                                     {"run", "f", "-i", "--json"},
                                                                                     {"stop"},
                                                                                     {"check"},
                                                                                     {"run", "f", "g"}}) {
    const auto parsed = parse(wrong);
    EXPECT_FALSE(parsed.command);
    EXPECT_EQ(parsed.exit_code, 2);
    EXPECT_FALSE(parsed.text.empty());
  }
}

TEST(CommandLine, help_and_version_are_no_errors) {
  EXPECT_EQ(parse({"--help"}).exit_code, 0);
  EXPECT_THAT(parse({"run", "--help"}).text, HasSubstr("--memory"));
  EXPECT_EQ(parse({"--version"}).text, "sisvmm 9.8.7\n");
}

TEST(Escape, plain_text_and_control_bytes_pass) {
  EscapeFilter filter;
  const auto typed = filter.feed("ls\r\x03\x1b[A");
  EXPECT_EQ(typed.bytes, "ls\r\x03\x1b[A");
  EXPECT_FALSE(typed.leave);
}

TEST(Escape, ctrl_bracket_leaves_at_once) {
  EscapeFilter filter;
  const auto typed = filter.feed(
      "ab\x1d"
      "cd");
  EXPECT_EQ(typed.bytes, "ab");
  EXPECT_TRUE(typed.leave);
}

TEST(Escape, ctrl_a_works_across_reads) {
  EscapeFilter filter;
  EXPECT_EQ(filter.feed("\x01").bytes, "");
  EXPECT_TRUE(filter.feed("x").leave);
  EXPECT_EQ(filter.feed("\x01\x01").bytes, "\x01");
  EXPECT_EQ(filter
                .feed("\x01"
                      "b")
                .bytes,
            "\x01"
            "b");
}

TEST(Format, durations_and_sizes) {
  EXPECT_EQ(format_duration(nanoseconds(999)), "999 ns");
  EXPECT_EQ(format_duration(nanoseconds(1500)), "1.50 us");
  EXPECT_EQ(format_duration(nanoseconds(12345678)), "12.3 ms");
  EXPECT_EQ(format_duration(nanoseconds(999999999)), "1.00 s");
  EXPECT_EQ(format_bytes(100), "100 B");
  EXPECT_EQ(format_bytes(512ull << 20), "512 MiB");
  EXPECT_EQ(format_bytes(1536ull << 20), "1.50 GiB");
}

TEST(Format, machine_names_are_made_of_any_text) {
  EXPECT_EQ(machine_name_from("hello"), "hello");
  EXPECT_EQ(machine_name_from("My first  scenario!"), "My-first-scenario");
  EXPECT_EQ(machine_name_from("../.."), "machine");
  EXPECT_EQ(machine_name_from(""), "machine");
  EXPECT_EQ(machine_name_from(std::string(100, 'a')).size(), 64U);
}

}  // namespace
}  // namespace vmm::cli
