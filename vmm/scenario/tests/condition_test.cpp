#include "vmm/scenario/condition.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace vmm::scenario {
namespace {

using Json = nlohmann::json;

bool holds(const Condition& condition, const Json& value) { return evaluate(condition, &value).passed; }

TEST(ConditionTest, equals_compares_numbers_by_value) {
  EXPECT_TRUE(holds({.equals = 5}, 5u));
  EXPECT_TRUE(holds({.equals = 5}, 5.0));
  EXPECT_FALSE(holds({.equals = 5}, 6));
  EXPECT_FALSE(holds({.equals = 5}, "5"));
  EXPECT_FALSE(holds({.equals = true}, 1));
}

TEST(ConditionTest, equals_keeps_large_unsigned_apart_from_negative) {
  EXPECT_FALSE(holds({.equals = -1}, std::numeric_limits<std::uint64_t>::max()));
  EXPECT_TRUE(holds({.min = -1}, std::numeric_limits<std::uint64_t>::max()));
  EXPECT_FALSE(holds({.equals = Json{{"a", {-1}}}}, Json{{"a", {std::numeric_limits<std::uint64_t>::max()}}}));
}

TEST(ConditionTest, equals_is_exact_beyond_double_precision) {
  EXPECT_FALSE(holds({.max = 9007199254740992}, 9007199254740993));
  EXPECT_TRUE(holds({.max = 9007199254740993}, 9007199254740993));
}

TEST(ConditionTest, equals_compares_lists_and_maps) {
  EXPECT_TRUE(holds({.equals = Json{1, "a"}}, Json{1, "a"}));
  EXPECT_FALSE(holds({.equals = Json{1, "a"}}, Json{1, "a", 2}));
  EXPECT_TRUE(holds({.equals = Json{{"k", 1}}}, Json{{"k", 1.0}}));
  EXPECT_FALSE(holds({.equals = Json{{"k", 1}}}, Json{{"l", 1}}));
}

TEST(ConditionTest, not_equals_holds_for_another_type) {
  EXPECT_TRUE(holds({.not_equals = 5}, "5"));
  EXPECT_FALSE(holds({.not_equals = 5}, 5));
}

TEST(ConditionTest, bounds_include_their_ends_and_need_a_number) {
  const Condition condition{.min = 3, .max = 9.5};
  EXPECT_TRUE(holds(condition, 3));
  EXPECT_TRUE(holds(condition, 9.5));
  EXPECT_FALSE(holds(condition, 2));
  EXPECT_FALSE(holds(condition, 10));
  EXPECT_FALSE(holds(condition, "5"));
}

TEST(ConditionTest, contains_looks_into_texts_and_lists) {
  EXPECT_TRUE(holds({.contains = "ell"}, "hello"));
  EXPECT_FALSE(holds({.contains = "elo"}, "hello"));
  EXPECT_TRUE(holds({.contains = 2}, Json{1, 2}));
  EXPECT_FALSE(holds({.contains = "a"}, Json{{"a", 1}}));
  EXPECT_FALSE(holds({.contains = 1}, 1));
}

TEST(ConditionTest, matches_searches_texts) {
  EXPECT_TRUE(holds({.matches = "^v[0-9]+\\.[0-9]+$"}, "v0.1"));
  EXPECT_TRUE(holds({.matches = "b+"}, "abc"));
  EXPECT_FALSE(holds({.matches = "^b"}, "abc"));
  EXPECT_FALSE(holds({.matches = "1"}, 1));
}

// libstdc++'s std::regex overflows the stack on this, and back-tracking matchers do not come back.
TEST(ConditionTest, matches_is_linear_on_hostile_texts) {
  EXPECT_FALSE(holds({.matches = "^(a+)+$"}, std::string(1 << 20, 'a') + "!"));
}

TEST(ConditionTest, absent_value_only_satisfies_exists_false) {
  EXPECT_TRUE(evaluate(Condition{.exists = false}, nullptr).passed);
  EXPECT_FALSE(evaluate(Condition{.exists = true}, nullptr).passed);
  EXPECT_FALSE(evaluate(Condition{.not_equals = 5}, nullptr).passed);
  EXPECT_FALSE(evaluate(Condition{}, nullptr).passed);
  EXPECT_EQ(evaluate(Condition{.equals = 1}, nullptr).actual, "absent");
  EXPECT_FALSE(holds({.exists = false}, 1));
  EXPECT_TRUE(holds({.exists = true}, nullptr)) << "null is a value";
}

TEST(ConditionTest, verdict_says_wanted_and_actual) {
  const Json value = 2;
  const Verdict verdict = evaluate(Condition{.min = 3, .max = 9}, &value);
  EXPECT_EQ(verdict.wanted, "at least 3 and at most 9");
  EXPECT_EQ(verdict.actual, "2");
  EXPECT_EQ(describe({.equals = "a", .exists = true}), "present and \"a\"");
  EXPECT_EQ(describe({.not_equals = 1, .contains = "x", .matches = "y"}), "not 1 and contains \"x\" and matches \"y\"");
  EXPECT_EQ(describe({.exists = false}), "absent");
}

TEST(ConditionTest, text_that_is_not_utf8_is_shown_and_never_throws) {
  const Json value = "\xff!";
  EXPECT_EQ(evaluate(Condition{.contains = "!"}, &value).actual, "\"\xEF\xBF\xBD!\"");
  EXPECT_TRUE(holds({.matches = "!"}, value));
}

TEST(FindFieldTest, path_leads_through_maps_and_lists) {
  const Json reply = {{"result", {{"names", {"a", "b"}}, {"0", "zero"}}}, {"status", "ok"}};
  ASSERT_NE(find_field(reply, "result.names.1"), nullptr);
  EXPECT_EQ(*find_field(reply, "result.names.1"), "b");
  EXPECT_EQ(*find_field(reply, "result.0"), "zero");
  EXPECT_EQ(*find_field(reply, "status"), "ok");
}

TEST(FindFieldTest, path_to_nowhere_is_null) {
  const Json reply = {{"result", {{"names", {"a"}}}}};
  for (const char* path : {"", ".", "result.", "result.names.1", "result.names.-1", "result.names.0x0",
                           "result.names.99999999999999999999", "result.names.0.x", "status"}) {
    EXPECT_EQ(find_field(reply, path), nullptr) << path;
  }
  EXPECT_EQ(find_field(Json(5), "a"), nullptr);
}

TEST(FindFieldTest, expectation_is_evaluated_on_its_field) {
  const ReplyExpectation expectation{.path = "result.payload", .condition = {.equals = "hi"}};
  EXPECT_TRUE(evaluate(expectation, Json{{"result", {{"payload", "hi"}}}}).passed);
  EXPECT_FALSE(evaluate(expectation, Json{{"result", {{"payload", "ho"}}}}).passed);
}

TEST(RegexTest, problem_says_what_is_wrong) {
  EXPECT_EQ(regex_problem("a+"), std::nullopt);
  ASSERT_TRUE(regex_problem("a("));
  EXPECT_EQ(*regex_problem("a("), "missing ): a(");
  EXPECT_TRUE(regex_problem("(?=a)")) << "look-ahead cannot be matched in linear time";
}

}  // namespace
}  // namespace vmm::scenario
