// watch log: lines as they are written, by level, from where somebody wants them.
#include <gmock/gmock.h>

#include "test_client.hpp"

namespace guest::control::testing {
namespace {

class WatchLogTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    machine.log.set_verbosity(kernel::Verbosity::Debug);
    client.hello();
  }
  /// Lines of the events that have come, "level line"; "(n)" before it: so many bytes were lost.
  std::vector<std::string> lines() {
    machine.advance_ns(100'000'000);
    std::vector<std::string> found;
    for (const Answer& event : client.answers()) {
      if (event.command != Wire::Event) {
        found.push_back(event.body.dump());
        continue;
      }
      found.push_back((event.body.contains("lost") ? "(" + event.body["lost"].dump() + ") " : "") +
                      event.body["level"].get<std::string>() + " " + event.body["line"].get<std::string>());
    }
    return found;
  }
  using Lines = std::vector<std::string>;
};

TEST_F(WatchLogTest, lines_come_as_they_are_written) {
  machine.log.error("before");
  client.send(call(5, "watch log"));
  machine.run();
  machine.log.error("one");
  machine.log.debug("two");
  EXPECT_EQ(lines(), (Lines{"quiet one", "debug two"}));
  EXPECT_EQ(lines(), Lines{});
  machine.log.info("three");
  EXPECT_EQ(lines(), Lines{"info three"});
}

TEST_F(WatchLogTest, only_lines_of_the_level_come_and_count) {
  client.send(call(5, "watch log", {{"level", "info"}, {"count", 2}}));
  machine.run();
  machine.log.debug("one");
  machine.log.info("two");
  machine.log.debug("three");
  machine.log.error("four");
  machine.log.error("five");
  EXPECT_EQ(lines(),
            (Lines{"info two", "quiet four", R"({"result":{"end":"count","events":2,"lost":0},"status":"ok"})"}));
}

TEST_F(WatchLogTest, the_newest_lines_of_the_level_come_first) {
  for (const char* const line : {"one", "two", "three"}) {
    machine.log.info(line);
    machine.log.debug("no");
  }
  client.send(call(5, "watch log", {{"level", "info"}, {"last", 2}}));
  EXPECT_EQ(lines(), (Lines{"info two", "info three"}));
  machine.log.info("four");
  EXPECT_EQ(lines(), Lines{"info four"});
  client.send(call(6, "watch log", {{"level", "info"}, {"last", 1000}, {"count", 1}}));
  EXPECT_EQ(lines().front(), "info one");
  client.send(call(7, "watch log", {{"level", "quiet"}, {"last", 9}}));
  EXPECT_EQ(lines(), Lines{});
}

TEST_F(WatchLogTest, what_was_overwritten_is_told_in_bytes) {
  client.send(call(5, "watch log", {{"count", 1}}));
  machine.run();
  const std::string line(99, 'x');  // and its end
  for (std::size_t i = 0; i < 2 * kernel::LogHistory::kBytes / 100; ++i) {
    machine.log.error(line);
  }
  const std::uint64_t kept = kernel::LogHistory::kBytes / 100 * 100;
  const std::uint64_t lost = machine.log_lines.end() - kept;
  const Lines found = lines();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], "(" + std::to_string(lost) + ") quiet " + line);
  EXPECT_EQ(found[1], R"({"result":{"end":"count","events":1,"lost":)" + std::to_string(lost) + R"(},"status":"ok"})");
}

TEST_F(WatchLogTest, a_line_that_is_long_or_no_text_is_an_event_nevertheless) {
  client.send(call(5, "watch log"));
  machine.run();
  machine.log.error(std::string(1025, 'l'));
  machine.log.error("a\xff\x62");
  machine.log.error("gr\xc3\xbc\xc3\x9f");
  machine.advance_ns(100'000'000);
  const auto events = client.answers();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].body, json({{"level", "quiet"}, {"line", std::string(1024, 'l')}, {"cut", true}}));
  EXPECT_EQ(events[1].body, json({{"level", "quiet"}, {"line", "a?b"}}));
  EXPECT_EQ(events[2].body["line"], "gr\xc3\xbc\xc3\x9f");
}

TEST_F(WatchLogTest, a_level_that_is_none_is_refused) {
  EXPECT_EQ(refusal(call(5, "watch log", {{"level", "loud"}})),
            (std::pair<std::string, std::string>("bad-argument", "level")));
  EXPECT_EQ(refusal(call(5, "watch log", {{"last", 1001}})),
            (std::pair<std::string, std::string>("bad-argument", "last")));
  client.hello(Rights::Submit | Rights::Admin);
  EXPECT_EQ(client.ask(call(5, "watch log")).code(), "forbidden");
}

}  // namespace
}  // namespace guest::control::testing
