#include "tools/metric_changes.hpp"

#include <gtest/gtest.h>

namespace sisctl {
namespace {

using nlohmann::json;

json as_received(const json& value) { return json::from_cbor(json::to_cbor(value)); }

class MetricChangesTest : public ::testing::Test {
 protected:
  MetricChangesTest() {
    EXPECT_TRUE(changes.feed(1'000'000'000, as_received({{"a", 10}, {"b", 5}, {"c", 7}})).empty());
  }
  MetricChanges changes;
};

TEST_F(MetricChangesTest, what_has_changed_is_told_with_its_rate) {
  const auto found = changes.feed(3'000'000'000, as_received({{"a", 30}, {"b", 5}, {"c", 3}}));
  EXPECT_EQ(text_of(found), "a  30  +20  +10.0/s\nc   3   -4   -2.0/s\n");
  EXPECT_EQ(json_of(3, found), json({{"time_ns", 3},
                                     {"changes",
                                      {{"a", {{"value", 30}, {"by", 20}, {"per_s", 10.0}}},
                                       {"c", {{"value", 3}, {"by", -4}, {"per_s", -2.0}}}}}}));
  EXPECT_TRUE(changes.feed(4'000'000'000, as_received({{"a", 30}, {"b", 5}, {"c", 3}})).empty());
}

TEST_F(MetricChangesTest, one_that_comes_has_no_rate_and_one_that_goes_is_told) {
  const auto found = changes.feed(2'000'000'000, as_received({{"a", 10}, {"c", 7}, {"d", 1}}));
  EXPECT_EQ(text_of(found), "b  gone\nd     1\n");
  EXPECT_EQ(json_of(2, found)["changes"], json({{"b", {{"value", nullptr}}}, {"d", {{"value", 1}}}}));
}

TEST_F(MetricChangesTest, a_clock_that_stands_still_gives_no_rate) {
  EXPECT_EQ(text_of(changes.feed(1'000'000'000, as_received({{"a", 11}, {"b", 5}, {"c", 7}}))), "a  11  +1\n");
}

TEST_F(MetricChangesTest, what_is_no_number_or_no_name_does_no_harm) {
  EXPECT_TRUE(MetricChanges().feed(1, json::array()).empty());
  const auto found = changes.feed(2'000'000'000, as_received({{"a", "x"}, {"b", 5}, {"c", 7}, {"\x1b[2J", 1}}));
  EXPECT_EQ(text_of(found), "\\x1b[2J     1\na        gone\n");
}

}  // namespace
}  // namespace sisctl
