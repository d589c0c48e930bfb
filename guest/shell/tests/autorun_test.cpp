// Lines that the kernel runs by itself.
#include "guest/shell/autorun.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "guest/control/testing/fake_machine.hpp"

namespace guest::shell {
namespace {

using control::testing::FakeMachine;
using ::testing::HasSubstr;

class Captured final : public kernel::TextOutput {
 public:
  void write(std::string_view part) override { text += part; }
  std::string text;
};

class Client final : public Autorun::Client {
 public:
  void on_lines_done() override { told.emplace_back("done"); }
  void on_line_failed(std::size_t number, std::string_view line) override {
    told.push_back("failed " + std::to_string(number) + " " + std::string(line));
  }
  std::vector<std::string> told;
};

class AutorunTest : public ::testing::Test {
 protected:
  void run(const std::string& lines) {
    kept = lines;
    autorun = std::make_unique<Autorun>(machine.services, console, kept, client);
    autorun->start();
    machine.run();
  }
  FakeMachine machine;
  Captured console;
  Client client;
  std::string kept;
  std::unique_ptr<Autorun> autorun;
};

using Told = std::vector<std::string>;

TEST_F(AutorunTest, lines_run_in_order_and_are_shown) {
  run(std::string("echo a; echo b\0echo c\0", 22));
  EXPECT_EQ(console.text, "autorun> echo a; echo b\na\nb\nautorun> echo c\nc\n");
  EXPECT_EQ(client.told, Told{"done"});
}

TEST_F(AutorunTest, a_line_that_waits_holds_the_next_ones) {
  run(std::string("sleep 50\0echo c\0", 16));
  EXPECT_EQ(console.text, "autorun> sleep 50\n");
  EXPECT_TRUE(client.told.empty());
  machine.advance_ns(50'000'000);
  EXPECT_THAT(console.text, HasSubstr("autorun> echo c\nc\n"));
  EXPECT_EQ(client.told, Told{"done"});
}

TEST_F(AutorunTest, a_line_that_is_refused_is_the_last) {
  run(std::string("echo a\0sleep never\0echo c\0", 26));
  EXPECT_EQ(client.told, Told{"failed 2 sleep never"});
  EXPECT_THAT(console.text, HasSubstr("sleep: ms: found"));
  EXPECT_THAT(console.text, ::testing::Not(HasSubstr("echo c")));
}

TEST_F(AutorunTest, a_line_that_cannot_be_read_is_the_last) {
  run(std::string("echo 'a\0echo c\0", 15));
  EXPECT_EQ(client.told, Told{"failed 1 echo 'a"});
  EXPECT_THAT(console.text, HasSubstr("column "));
}

TEST_F(AutorunTest, shutdown_is_carried_out_at_the_end_of_its_line) {
  run(std::string("shutdown 7\0", 11));
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"off 7"});
}

}  // namespace
}  // namespace guest::shell
