#include "guest/kernel/log_history.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "guest/kernel/log.hpp"

namespace guest::kernel {
namespace {

/// All lines from `from` on, each cut to 64 bytes.
std::vector<std::string> lines(const LogHistory& history, std::uint64_t from = 0) {
  std::vector<std::string> found;
  char text[64];
  while (const auto line = history.read(from, text)) {
    found.emplace_back(text, line->bytes);
    from = line->next;
  }
  EXPECT_LE(from, std::max(history.end(), from));
  return found;
}

class Histories : public ::testing::Test {
 protected:
  std::unique_ptr<LogHistory> history = std::make_unique<LogHistory>();
};

TEST_F(Histories, have_lines_that_have_ended) {
  EXPECT_EQ(history->end(), 0U);
  EXPECT_TRUE(lines(*history).empty());
  history->append("one\ntw");
  EXPECT_EQ(history->end(), 4U);
  EXPECT_EQ(lines(*history), (std::vector<std::string>{"one"}));
  history->append("o\n\nrest");
  EXPECT_EQ(lines(*history), (std::vector<std::string>{"one", "two", ""}));
  EXPECT_EQ(history->end(), 9U);
}

TEST_F(Histories, are_read_from_the_line_that_begins_at_a_place_or_after_it) {
  history->append("one\ntwo\nthree\n");
  EXPECT_EQ(lines(*history, 1), (std::vector<std::string>{"two", "three"}));
  EXPECT_EQ(lines(*history, 4), (std::vector<std::string>{"two", "three"}));
  EXPECT_EQ(lines(*history, 5), (std::vector<std::string>{"three"}));
  EXPECT_TRUE(lines(*history, 14).empty());
  EXPECT_TRUE(lines(*history, ~std::uint64_t{0}).empty());
}

TEST_F(Histories, cut_lines_that_are_too_long_for_who_reads) {
  history->append(std::string(100, 'x') + "\nend\n");
  EXPECT_EQ(lines(*history), (std::vector<std::string>{std::string(64, 'x'), "end"}));
}

TEST_F(Histories, keep_the_newest_whole_lines) {
  std::vector<std::string> written;
  for (int i = 0; i < 3000; ++i) {
    written.push_back("line " + std::to_string(i));
    history->append(written.back() + "\n");
  }
  const std::vector<std::string> kept = lines(*history);
  ASSERT_GT(kept.size(), LogHistory::kBytes / 11);
  EXPECT_EQ(kept, std::vector<std::string>(written.end() - static_cast<std::ptrdiff_t>(kept.size()), written.end()));
}

TEST_F(Histories, forget_all_for_a_line_that_is_longer_than_they_are) {
  history->append("before\n");
  history->append(std::string(3 * LogHistory::kBytes, 'x'));
  EXPECT_TRUE(lines(*history).empty());
  history->append("\nafter\n");
  EXPECT_EQ(lines(*history), (std::vector<std::string>{"after"}));
}

TEST_F(Histories, are_read_while_they_are_written) {
  constexpr std::uint64_t kLines = 20'000;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint64_t i = 0; i < kLines; ++i) {
      const std::string digit(40, static_cast<char>('0' + i % 10));
      history->append(digit);
      history->append(digit + "\n");
    }
    done = true;
  });
  std::uint64_t from = 0;
  std::uint64_t seen = 0;
  for (bool last = false; !last;) {
    last = done;
    char text[128];
    while (const auto line = history->read(from, text)) {
      // All of one line, not of two.
      ASSERT_EQ(std::string(text, line->bytes), std::string(80, text[0])) << seen;
      ASSERT_GT(line->next, from);
      from = line->next;
      ++seen;
    }
  }
  writer.join();
  EXPECT_GE(seen, LogHistory::kBytes / 81 - 1);
  EXPECT_EQ(from, kLines * 81);
}

TEST_F(Histories, of_a_log_are_its_lines_and_not_what_is_written_without) {
  Log log;
  log.error("before");
  log.keep_lines(*history);
  log.error("one");
  log.info("hidden");
  log.write("prompt> ");
  log.metric("two", 2);
  EXPECT_EQ(lines(*history), (std::vector<std::string>{"one", "METRIC two=2"}));
}

TEST_F(Histories, a_line_has_its_level_and_its_place) {
  Log log;
  log.set_verbosity(Verbosity::Debug);
  log.keep_lines(*history);
  log.error("one");
  log.info("two");
  log.debug("three");
  char text[16];
  const auto two = history->read(4, text);
  ASSERT_TRUE(two.has_value());
  EXPECT_EQ(two->level, Verbosity::Info);
  EXPECT_EQ(two->begin, 4U);
  EXPECT_FALSE(two->cut());
  EXPECT_EQ(history->read(0, text)->level, Verbosity::Quiet);
  EXPECT_EQ(history->read(two->next, text)->level, Verbosity::Debug);
  const auto cut = history->read(two->next, std::span(text).first(4));
  EXPECT_EQ(cut->bytes, 4U);
  EXPECT_TRUE(cut->cut());
}

TEST_F(Histories, text_cannot_look_like_the_end_of_a_line_of_another_level) {
  Log log;
  log.set_verbosity(Verbosity::Info);
  log.keep_lines(*history);
  log.info(
      "a\x11"
      "b\x12\x12");
  log.info("c\nd");
  EXPECT_EQ(lines(*history), (std::vector<std::string>{"a?b??", "c", "d"}));
}

TEST_F(Histories, of_a_log_in_a_panic_are_what_the_last_cpu_says) {
  Log log;
  log.keep_lines(*history);
  log.leave_to_this_cpu();
  log.error("why");
  EXPECT_EQ(lines(*history), (std::vector<std::string>{"why"}));
}

}  // namespace
}  // namespace guest::kernel
