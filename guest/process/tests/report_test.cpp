#include <gtest/gtest.h>

#include <string>

#include "guest/kernel/testing/arena.hpp"
#include "guest/process/fault_report.hpp"
#include "guest/process/task_console.hpp"

namespace guest::process {
namespace {

class StringOutput final : public kernel::TextOutput {
 public:
  void write(std::string_view text) override { content += text; }
  std::string content;
};

class TaskConsoleTest : public ::testing::Test {
 protected:
  void SetUp() override { log.set_output(output); }
  kernel::Log log;
  StringOutput output;
  TaskConsole console{log, "hello"};
};

TEST_F(TaskConsoleTest, line_goes_out_when_it_ends) {
  console.write("one ");
  console.write("line");
  EXPECT_EQ(output.content, "");
  console.write("\nnext");
  EXPECT_EQ(output.content, "hello: one line\n");
  console.flush();
  console.flush();
  EXPECT_EQ(output.content, "hello: one line\nhello: next\n");
}

TEST_F(TaskConsoleTest, empty_line_is_a_line) {
  console.write("\n\n");
  EXPECT_EQ(output.content, "hello:\nhello:\n");
}

TEST_F(TaskConsoleTest, control_bytes_are_escaped) {
  console.write("\x1eSIS-EXIT\r\x1b[2J\x7f\xff a\tb\\c\n");
  EXPECT_EQ(output.content, "hello: \\x1eSIS-EXIT\\x0d\\x1b[2J\\x7f\\xff a\tb\\c\n");
}

TEST_F(TaskConsoleTest, long_line_is_divided_and_an_escape_is_not) {
  console.write(std::string(TaskConsole::kLineBytes - 1, 'x') + "\x01y\n");
  EXPECT_EQ(output.content, "hello: " + std::string(TaskConsole::kLineBytes - 1, 'x') + "\nhello: \\x01y\n");
  output.content.clear();
  console.write(std::string(TaskConsole::kLineBytes, 'x') + "\n");
  EXPECT_EQ(output.content, "hello: " + std::string(TaskConsole::kLineBytes, 'x') + "\n");
}

TEST(FaultReport, names_the_task_the_cause_and_the_places) {
  class NoMaintenance final : public arch::TranslationMaintenance {
    void publish() override {}
    void write_back_code(std::span<const std::byte>) override {}
    void publish_code() override {}
    void forget_page(arch::Asid, std::uint64_t) override {}
    void forget(arch::Asid) override {}
  };
  NoMaintenance maintenance;
  kernel::PageAllocator pages{kernel::DirectMap(0)};
  AsidPool asids;
  const UserSpace space({pages, asids, maintenance}, 1);
  std::uint64_t x[31] = {};
  x[30] = 0xabc;
  StringOutput output;
  // A write that met a translation fault at level 0.
  write_fault(output, 3, "crash", {.esr = 0x9200'0044, .far = 0x10, .pc = 0x40'0104, .sp = kUserStackTop - 64, .x = x},
              space);
  EXPECT_TRUE(
      output.content.starts_with("task 3 (crash) killed: data abort: write at 0x10: translation fault, level 0\n"
                                 "0x10 is below any program, as a null pointer is\n"
                                 "pc 0x400104 is no memory of its, sp 0x7ffffffeffc0 is its stack\n"))
      << output.content;
  EXPECT_TRUE(output.content.ends_with("x30 0000000000000abc  sp  00007ffffffeffc0  pc  0000000000400104\n"))
      << output.content;
  output.content.clear();
  // An undefined instruction has no fault address.
  write_fault(output, 4, "other", {.esr = 0x0200'0000, .far = 0x10, .pc = 0, .sp = 0, .x = x}, space);
  EXPECT_TRUE(output.content.starts_with("task 4 (other) killed: undefined instruction or unknown reason\npc 0x0 is"))
      << output.content;
}

}  // namespace
}  // namespace guest::process
