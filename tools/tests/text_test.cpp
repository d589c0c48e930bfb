#include "tools/text.hpp"

#include <gtest/gtest.h>

namespace sisctl {
namespace {

TEST(Printable, what_a_terminal_would_act_on_is_escaped) {
  EXPECT_EQ(printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(printable("a\rb\x7f"), "a\\x0db\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // U+009B is CSI to some terminals
}

TEST(Printable, text_lines_and_tabs_stay) {
  EXPECT_EQ(printable("line\n\ttab \xc3\xa4 \xc2\xa0"), "line\n\ttab \xc3\xa4 \xc2\xa0");
  EXPECT_EQ(printable("\xc2"), "\xc2");
}

TEST(Table, maps_within_maps_become_dotted_names_in_one_column) {
  const auto map =
      nlohmann::json{{"name", "x"}, {"memory", {{"free", 12}, {"total", 30}}}, {"none", nlohmann::json::object()}};
  EXPECT_EQ(table(map),
            "memory.free   12\n"
            "memory.total  30\n"
            "name          x\n"
            "none          {}\n");
}

TEST(Duration, unit_fits_the_size) {
  EXPECT_EQ(duration(999), "999 ns");
  EXPECT_EQ(duration(1'500), "1.500 us");
  EXPECT_EQ(duration(12'345'678), "12.346 ms");
  EXPECT_EQ(duration(2'000'000'000), "2.000 s");
}

TEST(ShellQuoted, only_what_needs_it_is_quoted) {
  EXPECT_EQ(shell_quoted("version"), "version");
  EXPECT_EQ(shell_quoted("a=1,b"), "a=1,b");
  EXPECT_EQ(shell_quoted("a  b"), "'a  b'");
  EXPECT_EQ(shell_quoted("c;d"), "'c;d'");
  EXPECT_EQ(shell_quoted(""), "''");
  EXPECT_EQ(shell_quoted("it's"), "'it'\"'\"'s'");
}

TEST(Columns, are_as_wide_as_their_widest_value_and_safe_for_a_terminal) {
  const nlohmann::json rows = {{{"id", 12345}, {"op", "a\x1b"}}, {{"id", 1}, {"op", ""}}, 7};
  EXPECT_EQ(columns(rows, {"id", "op"}), "id     op\n12345  a\\x1b\n1      -\n-      -\n");
  EXPECT_EQ(columns("none", {"id"}), "id\n");
}

}  // namespace
}  // namespace sisctl
