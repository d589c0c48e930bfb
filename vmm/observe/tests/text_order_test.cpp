#include "vmm/observe/text_order.hpp"

#include <gtest/gtest.h>

namespace vmm::observe {
namespace {

TEST(TextOrder, texts_are_found_one_behind_the_other) {
  TextOrder order({"one", "two", "three"});
  order.feed("two one");
  EXPECT_EQ(order.found(), 1U) << "the \"two\" came too early";
  order.feed(" three two");
  EXPECT_EQ(order.found(), 2U);
  order.feed("three");
  EXPECT_EQ(order.found(), 3U);
}

TEST(TextOrder, pieces_and_carriage_returns_do_not_matter) {
  TextOrder order({"ab\ncd", "ef"});
  for (const char c : std::string("xab\r\ncdef")) order.feed(std::string(1, c));
  EXPECT_EQ(order.found(), 2U);
}

TEST(TextOrder, same_text_twice_must_come_twice_and_does_not_overlap) {
  TextOrder order({"aa", "aa"});
  order.feed("aaa");
  EXPECT_EQ(order.found(), 1U);
  order.feed("a");
  EXPECT_EQ(order.found(), 2U);
}

TEST(TextOrder, beginning_of_a_text_that_begins_anew_is_not_lost) {
  TextOrder order({"aab"});
  order.feed("aa");
  order.feed("ab");
  EXPECT_EQ(order.found(), 1U);
}

TEST(TextOrder, no_texts_are_found_at_once) { EXPECT_EQ(TextOrder({}).found(), 0U); }

}  // namespace
}  // namespace vmm::observe
