#include "guest/shell/line_parser.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace guest::shell {
namespace {

using Commands = std::vector<std::vector<std::string>>;

/// The commands of a line that must be good.
Commands parsed(std::string_view line) {
  std::vector<char> scratch(line.size());
  const auto result = parse_line(line, scratch);
  Commands commands;
  if (!result) {
    ADD_FAILURE() << "'" << line << "': " << result.error().what;
    return commands;
  }
  for (std::size_t i = 0; i < result->size(); ++i) {
    const auto words = result->command(i);
    commands.emplace_back(words.begin(), words.end());
  }
  return commands;
}

struct Wrong {
  std::string what;
  std::size_t offset;
  bool operator==(const Wrong&) const = default;
};

Wrong wrong(std::string_view line) {
  std::vector<char> scratch(line.size());
  const auto result = parse_line(line, scratch);
  return result ? Wrong{"accepted", 0} : Wrong{std::string(result.error().what), result.error().offset};
}

TEST(LineParser, BlanksAndTabs_SeparateWords) {
  EXPECT_EQ(parsed("  ping \t hello  "), (Commands{{"ping", "hello"}}));
  EXPECT_EQ(parsed(""), Commands{});
  EXPECT_EQ(parsed(" \t "), Commands{});
}

TEST(LineParser, Semicolons_SeparateCommandsAndEmptyOnesAreSkipped) {
  EXPECT_EQ(parsed("a b;c ;; d;"), (Commands{{"a", "b"}, {"c"}, {"d"}}));
}

TEST(LineParser, Quotes_KeepBlanksAndSemicolons) {
  EXPECT_EQ(parsed("echo 'a  b' \"c;d\""), (Commands{{"echo", "a  b", "c;d"}}));
  EXPECT_EQ(parsed("echo ''"), (Commands{{"echo", ""}}));
  EXPECT_EQ(parsed("a'b c'\"d\"e"), (Commands{{"ab cde"}}));
  EXPECT_EQ(parsed(R"('a\nb"')"), (Commands{{R"(a\nb")"}}));
}

TEST(LineParser, Escapes_InDoubleQuotes) {
  EXPECT_EQ(parsed(R"("\\ \" \n \t \r ' ;")"), (Commands{{"\\ \" \n \t \r ' ;"}}));
  EXPECT_EQ(wrong(R"(echo "a\q")"), (Wrong{"unknown escape in \"...\", allowed: \\\\ \\\" \\n \\t \\r", 7}));
}

TEST(LineParser, Backslash_OutsideOfQuotesMakesTheNextCharacterPlain) {
  EXPECT_EQ(parsed(R"(a\ b \; \' \\ \# \n)"), (Commands{{"a b", ";", "'", "\\", "#", "n"}}));
  EXPECT_EQ(parsed("\\\xC3\xA4"), (Commands{{"\xC3\xA4"}}));
  EXPECT_EQ(wrong("echo a\\"), (Wrong{"nothing follows the backslash", 6}));
}

TEST(LineParser, Hash_StartsACommentOnlyWhereAWordCouldStart) {
  EXPECT_EQ(parsed("ping # 'not closed"), (Commands{{"ping"}}));
  EXPECT_EQ(parsed("ping;#x"), (Commands{{"ping"}}));
  EXPECT_EQ(parsed("a#b"), (Commands{{"a#b"}}));
  EXPECT_EQ(parsed("'#'"), (Commands{{"#"}}));
}

TEST(LineParser, OpenQuotes_AreErrorsAtTheQuote) {
  EXPECT_EQ(wrong("ping; echo 'a"), (Wrong{"the quote ' is not closed", 11}));
  EXPECT_EQ(wrong("echo \"a"), (Wrong{"the quote \" is not closed", 5}));
  EXPECT_EQ(wrong("echo \"a\\\""), (Wrong{"the quote \" is not closed", 5}));
  EXPECT_EQ(wrong("echo \"a\\"), (Wrong{"the quote \" is not closed", 5}));
}

TEST(LineParser, Limits_AreErrorsAtTheFirstBeyond) {
  std::string words;
  for (std::size_t i = 0; i < kMaxWords; ++i) {
    words += "w ";
  }
  EXPECT_EQ(parsed(words).front().size(), kMaxWords);
  EXPECT_EQ(wrong(words + "more"), (Wrong{"more than 64 words in a line", words.size()}));
  std::string commands;
  for (std::size_t i = 0; i < kMaxCommands; ++i) {
    commands += "c;";
  }
  EXPECT_EQ(parsed(commands).size(), kMaxCommands);
  EXPECT_EQ(wrong(commands + "c").what, "more than 16 commands in a line");
}

}  // namespace
}  // namespace guest::shell
