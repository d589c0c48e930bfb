#include "tools/web/console_lines.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace sis_web {
namespace {

namespace fs = std::filesystem;

class ConsoleLinesTest : public testing::Test {
 protected:
  ConsoleLinesTest() {
    std::string name = (fs::temp_directory_path() / "sis-web-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~ConsoleLinesTest() override { fs::remove_all(folder_); }
  ConsoleLinesTest(const ConsoleLinesTest&) = delete;
  ConsoleLinesTest& operator=(const ConsoleLinesTest&) = delete;

  [[nodiscard]] fs::path log(const std::string& text) const {
    std::ofstream(folder_ / "console.log") << text;
    return folder_ / "console.log";
  }

  fs::path folder_;
};

TEST_F(ConsoleLinesTest, whole_lines_are_given_and_the_rest_when_it_is_whole) {
  const auto lines = read_console_lines(log("one\r\n\xff\"<\nunfinished"), std::nullopt);
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->text, "{\"offset\":0,\"line\":\"one\"}\n{\"offset\":5,\"line\":\"\uFFFD\\\"<\"}\n");
  EXPECT_EQ(lines->next, 9U);
  const auto more = read_console_lines(log("one\r\n\xff\"<\nunfinished no more\n"), lines->next);
  EXPECT_EQ(more->text, "{\"offset\":9,\"line\":\"unfinished no more\"}\n");
  EXPECT_EQ(read_console_lines(folder_ / "console.log", 1'000'000)->text, "");
}

TEST_F(ConsoleLinesTest, an_answer_is_bounded) {
  std::string text(kMaxLogBytes, 'a');
  text += "\nlast\n";
  const auto newest = read_console_lines(log(text), std::nullopt);
  EXPECT_EQ(newest->text, "{\"offset\":" + std::to_string(kMaxLogBytes + 1) + ",\"line\":\"last\"}\n");
  const auto first = read_console_lines(folder_ / "console.log", 0);
  EXPECT_EQ(first->next, kMaxLogBytes) << "a line that is longer than an answer comes in pieces";
}

TEST_F(ConsoleLinesTest, no_log_is_an_error) { EXPECT_FALSE(read_console_lines(folder_ / "console.log", 0)); }

}  // namespace
}  // namespace sis_web
