// Where answers end.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "guest/kernel/format.hpp"
#include "guest/llm/sampler/stop_words.hpp"

namespace guest::llm {
namespace {

class Shown final : public kernel::TextOutput {
 public:
  void write(std::string_view text) override { text_ += text; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

StopWords words(const std::vector<std::string>& list) {
  StopWords made;
  for (const std::string& word : list) {
    EXPECT_TRUE(made.add(word));
  }
  return made;
}

/// What is shown of the text in these parts.
std::string shown(StopWords stop, const std::vector<std::string>& parts) {
  Shown out;
  for (const std::string& part : parts) {
    if (stop.pass(part, out)) {
      return out.text() + "|";
    }
  }
  stop.finish(out);
  return out.text();
}

TEST(StopWords, end_the_text_before_them) {
  EXPECT_EQ(shown(words({"END"}), {"so it is. END of it"}), "so it is. |");
  EXPECT_EQ(shown(words({"END"}), {"so it is. E", "N", "D"}), "so it is. |");
  EXPECT_EQ(shown(words({"END"}), {"EEND"}), "E|");
  EXPECT_EQ(shown(words({}), {"END"}), "END");
}

TEST(StopWords, of_which_only_a_part_comes_are_shown) {
  EXPECT_EQ(shown(words({"END"}), {"EN", "d"}), "ENd");
  EXPECT_EQ(shown(words({"END"}), {"the EN"}), "the EN");
  EXPECT_EQ(shown(words({"aab"}), {"aaaab"}), "aa|");
}

TEST(StopWords, are_seen_inside_of_one_another) {
  EXPECT_EQ(shown(words({"abcd", "bX"}), {"abX"}), "a|");
  EXPECT_EQ(shown(words({"c", "abc"}), {"xabc"}), "x|");
}

TEST(StopWords, wait_for_no_more_than_they_need) {
  StopWords stop = words({"\n\n"});
  Shown out;
  EXPECT_FALSE(stop.pass("one\n", out));
  EXPECT_EQ(out.text(), "one");
  EXPECT_FALSE(stop.pass("two", out));
  EXPECT_EQ(out.text(), "one\ntwo");
  EXPECT_TRUE(stop.pass("\n\nthree", out));
  EXPECT_TRUE(stop.pass("four", out));
  stop.finish(out);
  EXPECT_EQ(out.text(), "one\ntwo");
  EXPECT_TRUE(stop.found());
}

TEST(StopWords, that_cannot_be_are_refused) {
  StopWords stop;
  const auto refusal = [&stop](const std::string& word) {
    const kernel::Outcome outcome = stop.add(word);
    return outcome ? "added" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
  };
  EXPECT_EQ(refusal(""), "llm-bad-stop-word: a stop word of 0 bytes, expected 1 to 64");
  EXPECT_EQ(refusal(std::string(65, 'x')), "llm-bad-stop-word: a stop word of 65 bytes, expected 1 to 64");
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(refusal(std::string(64, 'x')), "added");
  }
  EXPECT_EQ(refusal("y"), "llm-bad-stop-word: more than 8 stop words");
}

/// The text before the word that ends first, the longest of those.
std::string reference(const std::vector<std::string>& list, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& word : list) {
      longest = text.substr(0, end).ends_with(word) ? std::max(longest, word.size()) : longest;
    }
    if (longest != 0) {
      return text.substr(0, end - longest) + "|";
    }
  }
  return text;
}

TEST(StopWords, of_random_texts_are_those_of_the_reference) {
  std::mt19937 random(2);
  const auto make = [&random](std::size_t most) {
    std::string text;
    for (std::size_t size = 1 + random() % most; size > 0; --size) {
      text += "ab"[random() % 2];
    }
    return text;
  };
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> list(1 + random() % 3);
    std::ranges::generate(list, [&] { return make(7); });
    std::vector<std::string> parts(1 + random() % 4);
    std::ranges::generate(parts, [&] { return make(8); });
    std::string all;
    for (const std::string& part : parts) {
      all += part;
    }
    ASSERT_EQ(shown(words(list), parts), reference(list, all));
  }
}

}  // namespace
}  // namespace guest::llm
