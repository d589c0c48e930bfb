#include "vmm/observe/console_parser.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "vmm/observe/text_watch.hpp"

namespace vmm::observe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Recorder : ConsoleSink {
  void on_line(std::string_view line, bool more) override { lines.push_back(std::string(line) + (more ? "..." : "")); }
  void on_metric(std::string_view name, std::int64_t value) override {
    metrics.push_back(std::string(name) + "=" + std::to_string(value));
  }
  void on_exit_record(ExitRecord record) override { records.push_back(record); }
  void on_malformed(std::string_view line) override { malformed.emplace_back(line); }

  std::vector<std::string> lines, metrics, malformed;
  std::vector<ExitRecord> records;
};

class ConsoleParserTest : public testing::Test {
 protected:
  void feed(std::string_view bytes) {
    for (const char c : bytes) parser_.feed(std::string_view(&c, 1));
  }

  Recorder found_;
  ConsoleParser parser_{found_};
};

TEST_F(ConsoleParserTest, lines_end_with_lf_or_crlf) {
  feed("one\ntwo\r\nthree\r\r\n\nfive");
  EXPECT_THAT(found_.lines, ElementsAre("one", "two", "three", ""));
  parser_.finish();
  EXPECT_EQ(found_.lines.back(), "five");
}

TEST_F(ConsoleParserTest, metric_line_is_a_metric_and_a_line) {
  feed("METRIC boot_to_control_ready_ns=123456\r\nMETRIC t=-5\n");
  EXPECT_THAT(found_.metrics, ElementsAre("boot_to_control_ready_ns=123456", "t=-5"));
  EXPECT_EQ(found_.lines.size(), 2U);
  EXPECT_THAT(found_.malformed, IsEmpty());
}

TEST_F(ConsoleParserTest, malformed_metrics_are_told_and_not_taken) {
  feed("METRIC a\nMETRIC =1\nMETRIC A=1\nMETRIC a=\nMETRIC a=1x\nMETRIC a=1 \nMETRIC a=9223372036854775808\n");
  EXPECT_THAT(found_.metrics, IsEmpty());
  EXPECT_EQ(found_.malformed.size(), 7U);
}

TEST_F(ConsoleParserTest, metric_in_the_middle_of_a_line_is_text) {
  feed("say METRIC a=1\n");
  EXPECT_THAT(found_.metrics, IsEmpty());
  EXPECT_THAT(found_.malformed, IsEmpty());
}

TEST_F(ConsoleParserTest, exit_records_of_every_kind) {
  feed("\x1e SIS-EXIT kind=shutdown code=0\r\n\x1e SIS-EXIT kind=reboot code=0\n");
  feed("\x1e SIS-EXIT kind=panic code=4 \n\x1eSIS-EXIT kind=boot-config code=5\n");
  using Kind = ExitRecord::Kind;
  EXPECT_THAT(found_.records, ElementsAre(ExitRecord{Kind::Shutdown, 0}, ExitRecord{Kind::Reboot, 0},
                                          ExitRecord{Kind::Panic, 4}, ExitRecord{Kind::BootConfig, 5}));
  EXPECT_THAT(found_.lines, IsEmpty());
}

TEST_F(ConsoleParserTest, record_after_a_prompt_starts_its_own_line) {
  feed("sis> \x1e SIS-EXIT kind=shutdown code=255\n");
  EXPECT_THAT(found_.records, ElementsAre(ExitRecord{ExitRecord::Kind::Shutdown, 255}));
  EXPECT_THAT(found_.lines, ElementsAre("sis> "));
}

TEST_F(ConsoleParserTest, text_without_the_mark_is_no_record) {
  feed("SIS-EXIT kind=shutdown code=0\n SIS-EXIT kind=panic code=4\n");
  EXPECT_THAT(found_.records, IsEmpty());
  EXPECT_EQ(found_.lines.size(), 2U);
}

TEST_F(ConsoleParserTest, malformed_records_are_told_and_not_taken) {
  feed("\x1e\n\x1e SIS-EXIT\n\x1e SIS-EXIT kind=shutdown\n\x1e SIS-EXIT kind=other code=0\n");
  feed(
      "\x1e SIS-EXIT kind=shutdown code=256\n\x1e SIS-EXIT kind=shutdown code=-1\n\x1e SIS-EXIT kind=shutdown "
      "code=0x1\n");
  EXPECT_THAT(found_.records, IsEmpty());
  EXPECT_EQ(found_.malformed.size(), 7U);
}

TEST_F(ConsoleParserTest, long_line_comes_in_bounded_pieces_and_nothing_is_lost) {
  const std::string line(ConsoleParser::kMaxLineBytes + 10, 'x');
  feed(line + "\nMETRIC a=1\n");
  EXPECT_THAT(found_.lines,
              ElementsAre(std::string(ConsoleParser::kMaxLineBytes, 'x') + "...", "xxxxxxxxxx", "METRIC a=1"));
  EXPECT_THAT(found_.metrics, ElementsAre("a=1"));
}

TEST_F(ConsoleParserTest, piece_of_a_long_line_is_never_a_metric) {
  feed(std::string(ConsoleParser::kMaxLineBytes, 'x') + "METRIC a=1\n");
  EXPECT_THAT(found_.metrics, IsEmpty());
}

TEST(Printable, escape_sequences_and_control_bytes_are_left_out) {
  EXPECT_EQ(printable("\x1b[31;1mred\x1b[0m\a\x1e ok\t\xc3\xa9"), "red ok\t\xc3\xa9");
  EXPECT_EQ(printable("\x1b["), "");
}

TEST(TextWatch, text_across_pieces_and_line_ends_is_found) {
  TextWatch watch({"ready\nsis>", "absent", ""});
  for (const char* piece : {"not re", "ad", "y\r", "\nsis", "> "}) watch.feed(piece);
  EXPECT_TRUE(watch.seen(0));
  EXPECT_FALSE(watch.seen(1));
  EXPECT_TRUE(watch.seen(2));
}

TEST(TextWatch, one_byte_text_is_found_once_it_comes) {
  TextWatch watch({"z"});
  watch.feed("abc");
  EXPECT_FALSE(watch.seen(0));
  watch.feed("xyz");
  EXPECT_TRUE(watch.seen(0));
}

}  // namespace
}  // namespace vmm::observe
