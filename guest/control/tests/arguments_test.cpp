// Arguments from words and from maps: what is taken, and how each mistake is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "guest/control/command.hpp"

namespace guest::control {
namespace {

using nlohmann::json;

constexpr ArgumentSpec kSpecs[] = {
    {.name = "count", .type = ArgumentType::Integer, .required = true, .min = 1, .max = 10, .help = "how many"},
    {.name = "mode", .type = ArgumentType::Choice, .choices = "fast|slow", .help = "how"},
    {.name = "dry", .type = ArgumentType::Bool, .help = "only look"},
    {.name = "text", .type = ArgumentType::Words, .max = 12, .help = "what"},
};
constexpr ArgumentSpec kData[] = {{.name = "data", .type = ArgumentType::TextOrBytes, .min = 1, .max = 4, .help = "d"}};

/// "count=1 mode=fast ..." of what was given, or "code field: message".
std::string told(const std::expected<Arguments, Refusal>& result) {
  if (!result) {
    return std::string(result.error().code) + " " + std::string(result.error().field.view()) + ": " +
           std::string(result.error().message.view());
  }
  std::string text = "count=" + std::to_string(result->number("count"));
  text += result->has("mode") ? " mode=" + std::string(result->text("mode")) : "";
  text += result->has("dry") ? std::string(" dry=") + (result->flag("dry") ? "yes" : "no") : "";
  text += result->has("text") ? " text='" + std::string(result->text("text")) + "'" : "";
  return text;
}

std::string words(const std::vector<std::string_view>& given) {
  std::vector<char> scratch(256);
  return told(Arguments::parse_words(kSpecs, given, scratch));
}

std::string map(const json& given) {
  const std::vector<std::uint8_t> encoded = json::to_cbor(given);
  return told(Arguments::parse_map(kSpecs, *parse_cbor(std::as_bytes(std::span(encoded)))));
}

/// Thousandths, or "code field: message".
std::string decimal(const std::expected<Arguments, Refusal>& result) {
  return result ? std::to_string(result->number("heat")) : told(result);
}

TEST(ArgumentDecimal, is_in_thousandths) {
  static constexpr ArgumentSpec kHeat[] = {
      {.name = "heat", .type = ArgumentType::Decimal, .min = 1, .max = 2'000, .help = "h"}};
  const auto of_word = [](std::string_view word) {
    const std::string_view given[] = {word};
    return decimal(Arguments::parse_words(kHeat, given, {}));
  };
  EXPECT_EQ(of_word("0.8"), "800");
  EXPECT_EQ(of_word("2"), "2000");
  EXPECT_EQ(of_word("0.001"), "1");
  EXPECT_EQ(of_word("1.25"), "1250");
  for (const char* const bad : {"", ".5", "1.", "1.0001", "2.001", "0", "-1", "1e1", "1,5", "9999999999", "0x1"}) {
    EXPECT_EQ(of_word(bad), std::string("bad-argument heat: heat: found '") + bad +
                                "', allowed: 0.001 to 2.000, with at most three places");
  }
  const auto of_value = [](const json& value) {
    const std::vector<std::uint8_t> encoded = json::to_cbor({{"heat", value}});
    return decimal(Arguments::parse_map(kHeat, *parse_cbor(std::as_bytes(std::span(encoded)))));
  };
  EXPECT_EQ(of_value("0.8"), "800");
  EXPECT_EQ(of_value(1), "1000");
  EXPECT_EQ(of_value(3), "bad-argument heat: heat: found '3', allowed: 0.001 to 2.000, with at most three places");
  EXPECT_EQ(of_value(true), "bad-argument heat: heat: found a boolean, allowed: a text with a number, or an integer");
}

TEST(ArgumentWords, positions_options_and_both) {
  EXPECT_EQ(words({"3"}), "count=3");
  EXPECT_EQ(words({"3", "slow", "yes", "a", "b"}), "count=3 mode=slow dry=yes text='a b'");
  EXPECT_EQ(words({"3", "--dry"}), words({"3", "--dry", "yes"}));
  EXPECT_EQ(words({"--dry", "--mode", "slow", "3"}), words({"--dry=yes", "--mode", "slow", "3"}));
  EXPECT_EQ(words({"3", "--dry", "no"}), words({"3", "--dry=no"}));
  EXPECT_EQ(words({"--count", "3", "--mode=fast"}), "count=3 mode=fast");
  EXPECT_EQ(words({"--mode", "fast", "3", "no"}), "count=3 mode=fast dry=no");
  EXPECT_EQ(words({"3", "--text", "a b"}), "count=3 text='a b'");
  EXPECT_EQ(words({"3", "fast", "true", "--", "--x", "y"}), "count=3 mode=fast dry=yes text='--x y'");
  EXPECT_EQ(words({"3", "fast", "no", ""}), "count=3 mode=fast dry=no text=''");
}

TEST(ArgumentWords, mistakes_name_the_argument_and_what_is_allowed) {
  EXPECT_EQ(words({}), "missing-argument count: count is missing: how many");
  EXPECT_EQ(words({"0"}), "bad-argument count: count: found 0, allowed: an integer from 1 to 10");
  EXPECT_EQ(words({"11"}), "bad-argument count: count: found 11, allowed: an integer from 1 to 10");
  EXPECT_EQ(words({"3x"}), "bad-argument count: count: found '3x', allowed: an integer from 1 to 10");
  EXPECT_EQ(words({"-3"}), "bad-argument count: count: found '-3', allowed: an integer from 1 to 10");
  EXPECT_EQ(words({""}), "bad-argument count: count: found '', allowed: an integer from 1 to 10");
  EXPECT_EQ(words({"18446744073709551617"}),
            "bad-argument count: count: found '18446744073709551617', allowed: an integer from 1 to 10");
  EXPECT_EQ(words({"3", "fas"}), "bad-argument mode: mode: found 'fas', allowed: fast|slow");
  EXPECT_EQ(words({"3", "fast|slow"}), "bad-argument mode: mode: found 'fast|slow', allowed: fast|slow");
  EXPECT_EQ(words({"3", "fast", "maybe"}), "bad-argument dry: dry: found 'maybe', allowed: yes, no, true, false");
  EXPECT_EQ(words({"3", "--mod", "fast"}),
            "unknown-argument mod: unknown argument 'mod', allowed: count, mode, dry, text");
  EXPECT_EQ(words({"3", "--mode"}), "missing-argument mode: --mode needs a value: how");
  EXPECT_EQ(words({"3", "--count", "4"}), "bad-argument count: count: given twice");
  EXPECT_EQ(words({"3", "fast", "no", "123456", "7890123"}),
            "bad-argument text: text: found 14 bytes, allowed: 0 to 12");
}

TEST(ArgumentWords, too_many_are_refused) {
  std::vector<char> scratch(64);
  const std::string_view given[] = {"a", "b"};
  const auto refused = Arguments::parse_words(kData, given, scratch);
  EXPECT_EQ(refused.error().code, "unknown-argument");
  EXPECT_EQ(refused.error().message.view(), "unexpected argument 'b': 2 given, at most 1 allowed");
}

TEST(ArgumentMap, types_are_exact) {
  EXPECT_EQ(map({{"count", 3}, {"mode", "fast"}, {"dry", true}, {"text", "x"}}), "count=3 mode=fast dry=yes text='x'");
  EXPECT_EQ(map({{"count", "3"}}), "bad-argument count: count: found a text, allowed: an integer from 1 to 10");
  EXPECT_EQ(map({{"count", -3}}),
            "bad-argument count: count: found a negative integer, allowed: an integer from 1 to 10");
  EXPECT_EQ(map({{"count", 3}, {"dry", 1}}), "bad-argument dry: dry: found an integer, allowed: a boolean");
  EXPECT_EQ(map({{"count", 3}, {"mode", nullptr}}), "bad-argument mode: mode: found null, allowed: a text");
  EXPECT_EQ(map({{"count", 3}, {"text", json::array()}}), "bad-argument text: text: found an array, allowed: a text");
  EXPECT_EQ(map({{"count", 3}, {"text", json::binary({1})}}), "bad-argument text: text: found bytes, allowed: a text");
  EXPECT_EQ(map({{"count", 3}, {"more", 1}}),
            "unknown-argument more: unknown argument 'more', allowed: count, mode, dry, text");
  EXPECT_EQ(map(json::object()), "missing-argument count: count is missing: how many");
  EXPECT_EQ(map(json::array()), "bad-argument args: args: found an array, allowed: a map");
}

TEST(ArgumentMap, text_or_bytes_keeps_which_it_was) {
  const auto parse = [](const json& given) {
    static std::vector<std::uint8_t> encoded;
    encoded = json::to_cbor(given);
    return Arguments::parse_map(kData, *parse_cbor(std::as_bytes(std::span(encoded))));
  };
  EXPECT_FALSE(parse({{"data", "ab"}})->is_bytes("data"));
  EXPECT_TRUE(parse({{"data", json::binary({1, 2})}})->is_bytes("data"));
  EXPECT_EQ(parse({{"data", json::binary({1, 2})}})->text("data"), "\1\2");
  EXPECT_EQ(parse({{"data", json::binary({1, 2, 3, 4, 5})}}).error().code, "bad-argument");
  EXPECT_EQ(parse({{"data", 1}}).error().message.view(), "data: found an integer, allowed: a text or bytes");
}

}  // namespace
}  // namespace guest::control
