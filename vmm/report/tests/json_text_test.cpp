#include "../json_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace vmm::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::vector<std::pair<std::string, std::string>> members(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> found;
  for_each_member(text, [&](std::string_view key, std::string_view value) { found.emplace_back(key, value); });
  return found;
}

TEST(JsonText, members_are_cut_as_they_are_written) {
  EXPECT_THAT(
      members(R"( { "a" : 1.50 , "b":{"c":[1,{"d":"}"}]},"e":"x,\"}" ,"f":null} )"),
      ElementsAre(Pair("a", "1.50"), Pair("b", R"({"c":[1,{"d":"}"}]})"), Pair("e", R"("x,\"}")"), Pair("f", "null")));
  EXPECT_TRUE(members("{}").empty());
  EXPECT_TRUE(members("{ }").empty());
}

TEST(JsonText, elements_are_cut_as_they_are_written) {
  std::vector<std::string> found;
  for_each_element(R"([ 1, [2,"]"] ,"a\\", {}])", [&](std::string_view value) { found.emplace_back(value); });
  EXPECT_THAT(found, ElementsAre("1", R"([2,"]"])", R"("a\\")", "{}"));
}

TEST(JsonText, check_says_what_was_expected) {
  EXPECT_TRUE(check_object(R"({"format":"f","version":1,"deep":{"format":"g"}})", {.format = "f", .version = 1}));
  EXPECT_THAT(check_object("[1]").error().message, HasSubstr("expected a JSON object"));
  EXPECT_THAT(check_object("").error().message, HasSubstr("expected a JSON object"));
  EXPECT_THAT(check_object("{\"a\":}").error().message, HasSubstr("expected JSON"));
  EXPECT_THAT(check_object("{\"a\":\"\xff\"}").error().message, HasSubstr("expected JSON"));
  EXPECT_THAT(check_object(R"({"format":"f","version":2})", {.format = "f", .version = 1}).error().message,
              HasSubstr("\"version\": 1"));
}

TEST(JsonText, nesting_without_end_is_an_error_and_no_crash) {
  EXPECT_FALSE(check_object("{\"a\":" + std::string(1'000'000, '[')));
}

TEST(JsonText, json_string_makes_a_string_of_any_bytes) { EXPECT_EQ(json_string("a\"\n\xff"), "\"a\\\"\\n\uFFFD\""); }

}  // namespace
}  // namespace vmm::report
