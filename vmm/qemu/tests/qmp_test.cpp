#include "vmm/qemu/qmp.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmm::qemu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kGreeting[] =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": []}})"
    "\r\n";

class QmpTest : public testing::Test {
 protected:
  std::vector<std::string> events_;
  QmpSession session_{
      [this](const std::string& name, const nlohmann::json& data) { events_.push_back(name + data.dump()); }};

  void negotiate() {
    ASSERT_TRUE(session_.feed(kGreeting));
    ASSERT_TRUE(session_.feed("{\"return\": {}, \"id\": 1}\r\n"));
    session_.take_output();
  }
};

TEST_F(QmpTest, greeting_is_answered_with_capabilities_and_gives_the_version) {
  EXPECT_EQ(session_.take_output(), "") << "nothing may be sent before the greeting";
  ASSERT_TRUE(session_.feed(kGreeting));
  EXPECT_EQ(session_.take_output(), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
  EXPECT_EQ(session_.version(), "7.2.22");
}

TEST_F(QmpTest, command_before_negotiation_waits_for_it) {
  session_.execute("quit");
  EXPECT_EQ(session_.take_output(), "");
  ASSERT_TRUE(session_.feed(kGreeting));
  EXPECT_THAT(session_.take_output(), testing::Not(HasSubstr("quit")));
  ASSERT_TRUE(session_.feed("{\"return\": {}, \"id\": 1}\n"));
  EXPECT_EQ(session_.take_output(), "{\"execute\":\"quit\",\"id\":2}\n");
}

TEST_F(QmpTest, events_come_through_in_any_cut) {
  negotiate();
  for (const char c : std::string("{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n{\"event\":\"STOP\"}\n")) {
    ASSERT_TRUE(session_.feed(std::string_view(&c, 1)));
  }
  EXPECT_THAT(events_, ElementsAre("RESET{\"guest\":true}", "STOPnull"));
}

TEST_F(QmpTest, replies_go_to_their_command) {
  negotiate();
  std::string first;
  std::string second;
  session_.execute("query-status", [&](const auto& reply) { first = reply ? reply->dump() : reply.error().message; });
  session_.execute("nonsense", [&](const auto& reply) { second = reply ? reply->dump() : reply.error().message; });
  ASSERT_TRUE(session_.feed("{\"return\": {\"status\": \"running\"}, \"id\": 2}\n"));
  ASSERT_TRUE(session_.feed("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"not found\"}, \"id\": 3}\n"));
  EXPECT_EQ(first, "{\"status\":\"running\"}");
  EXPECT_EQ(second, "QEMU refused: not found");
}

TEST_F(QmpTest, what_the_protocol_does_not_allow_is_an_error) {
  for (const char* line : {"[]\n", "nonsense\n", "{}\n", "{\"return\": 1, \"id\": 99}\n", "{\"return\": 1}\n", "1\n"}) {
    QmpSession session([](const std::string&, const nlohmann::json&) {});
    ASSERT_TRUE(session.feed(kGreeting));
    EXPECT_FALSE(session.feed(line)) << line;
  }
  EXPECT_FALSE(session_.feed("{\"event\": \"STOP\"}\n")) << "an event before the greeting";
}

TEST_F(QmpTest, endless_line_is_an_error_and_not_memory) {
  const std::string block(QmpSession::kMaxLineBytes, ' ');
  ASSERT_TRUE(session_.feed(block));
  const auto fed = session_.feed("x");
  ASSERT_FALSE(fed);
  EXPECT_THAT(fed.error().message, HasSubstr("more than 262144 bytes"));
}

}  // namespace
}  // namespace vmm::qemu
