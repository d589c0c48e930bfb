#include "guest/kernel/boot_options.hpp"

#include <gtest/gtest.h>

namespace guest::kernel {
namespace {

TEST(BootOptions, empty_line_sets_nothing) { EXPECT_FALSE(parse_boot_options("")->verbosity.has_value()); }

TEST(BootOptions, verbosity_is_found_among_words_of_others) {
  EXPECT_EQ(parse_boot_options(" console=ttyAMA0\tverbosity=debug quiet ")->verbosity, Verbosity::Debug);
}

TEST(BootOptions, last_of_several_counts) {
  EXPECT_EQ(parse_boot_options("verbosity=debug verbosity=info")->verbosity, Verbosity::Info);
}

TEST(BootOptions, unknown_value_is_an_error_that_names_it) {
  const auto options = parse_boot_options("verbosity=loud\x1b");
  ASSERT_FALSE(options.has_value());
  EXPECT_EQ(options.error().name, "bootargs-bad-value");
  EXPECT_EQ(options.error().detail.view(), "verbosity=loud\\x1b: expected quiet, info or debug");
}

TEST(BootOptions, word_that_only_ends_like_ours_is_not_ours) {
  EXPECT_FALSE(parse_boot_options("xverbosity=loud")->verbosity.has_value());
}

TEST(BootOptions, shell_line_is_all_that_follows) {
  const auto options = parse_boot_options("console=x verbosity=info shell=trace on; echo verbosity=debug");
  EXPECT_EQ(options->shell_line, "trace on; echo verbosity=debug");
  EXPECT_EQ(options->verbosity, Verbosity::Info);
  EXPECT_TRUE(parse_boot_options("myshell=a")->shell_line.empty());
  EXPECT_EQ(parse_boot_options("shell= a  b ")->shell_line, " a  b ");
  EXPECT_TRUE(parse_boot_options("verbosity=info shell=")->shell_line.empty());
}

}  // namespace
}  // namespace guest::kernel
