// Patterns and choices.
#include "guest/llm/constraint/automaton.hpp"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "guest/kernel/failing_memory/failing_memory.hpp"

namespace guest::llm {
namespace {

std::string said(const kernel::NamedError& error) {
  return std::string(error.name) + ": " + std::string(error.detail.view());
}

/// "made", or the error.
std::string outcome_of(std::string_view pattern) {
  const auto made = Automaton::of_pattern(pattern);
  return made ? "made" : said(made.error());
}

Automaton automaton(std::string_view pattern) {
  auto made = Automaton::of_pattern(pattern);
  EXPECT_TRUE(made) << pattern << ": " << outcome_of(pattern);
  return std::move(*made);
}

bool reads(const Automaton& automaton, std::string_view text) {
  Automaton::State state = automaton.start();
  for (const char c : text) {
    state = automaton.next(state, static_cast<std::uint8_t>(c));
    if (state == Automaton::kDead) {
      return false;
    }
  }
  return automaton.accepts(state);
}

/// Every state leads to one that accepts: no answer gets stuck.
void expect_no_dead_end(const Automaton& automaton) {
  std::vector<std::set<Automaton::State>> before(automaton.states());
  std::vector<Automaton::State> good;
  for (std::size_t i = 0; i < automaton.states(); ++i) {
    const auto state = static_cast<Automaton::State>(i);
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (const auto next = automaton.next(state, static_cast<std::uint8_t>(byte)); next != Automaton::kDead) {
        before.at(next).insert(state);
      }
    }
    if (automaton.accepts(state)) {
      good.push_back(state);
    }
  }
  std::set<Automaton::State> seen(good.begin(), good.end());
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const Automaton::State state : before[good[i]]) {
      if (seen.insert(state).second) {
        good.push_back(state);
      }
    }
  }
  EXPECT_EQ(good.size(), automaton.states());
}

TEST(Automaton, reads_what_matches_and_nothing_else) {
  const struct {
    const char* pattern;
    std::vector<std::string> texts;
    std::vector<std::string> others;
  } cases[] = {
      {"abc", {"abc"}, {"", "ab", "abcd", "abx"}},
      {"yes|no|maybe", {"yes", "no", "maybe"}, {"ye", "yesno", ""}},
      {"a?b*c+", {"c", "ac", "abbbcc"}, {"ab", "aac", ""}},
      {"(ab|c){2}", {"abab", "abc", "cc"}, {"ab", "ccc", "abcab"}},
      {"x{2,4}", {"xx", "xxx", "xxxx"}, {"x", "xxxxx"}},
      {"x{2,}", {"xx", "xxxxxxxx"}, {"x", ""}},
      {"(a|b){0,2}", {"", "a", "bb"}, {"aba"}},
      {"-?\\d{1,3}(\\.\\d+)?", {"0", "-12", "999.25"}, {"-", "1000", "1.", ".5"}},
      {"[a-cx_]+", {"abcx_"}, {"d", ""}},
      {"[^a-c]", {"d", " ", "~"}, {"a", "\n", "\x7F", "\xC3\xA4"}},
      {"[-a]]", {"-]", "a]"}, {"-", "]"}},
      {"[a-]", {"a", "-"}, {"b"}},
      {".", {"a", " ", "."}, {"", "\n", "\xE2", "\t"}},
      {"\\w+\\s\\n", {"a_9 \n", "Z\t\n"}, {"-\n"}},
      {"\\(\\[\\{\\.\\*\\\\", {"([{.*\\"}, {"(["}},
      {"}]", {"}]"}, {"}"}},
      {"\xC3\xA4+", {"\xC3\xA4", "\xC3\xA4\xC3\xA4"}, {"\xC3", "\xC3\xA4\xA4"}},
      {"(a*)*", {"", "aaaa"}, {"b"}},
      {"((a|bc)*d?)+e", {"e", "abcde", "dade"}, {"bd", "bce d"}},
  };
  for (const auto& each : cases) {
    const Automaton made = automaton(each.pattern);
    for (const std::string& text : each.texts) {
      EXPECT_TRUE(reads(made, text)) << each.pattern << " against " << text;
    }
    for (const std::string& text : each.others) {
      EXPECT_FALSE(reads(made, text)) << each.pattern << " against " << text;
    }
    expect_no_dead_end(made);
  }
}

TEST(Automaton, skips_one_space_that_no_text_begins_with) {
  EXPECT_TRUE(reads(automaton("yes"), " yes"));
  EXPECT_FALSE(reads(automaton("yes"), "  yes"));
  EXPECT_FALSE(reads(automaton("yes"), " "));
  EXPECT_TRUE(reads(automaton("(ab)*"), " abab"));
  EXPECT_FALSE(reads(automaton("(ab)*"), "ab ab"));
  EXPECT_TRUE(automaton("yes").skips_space());
  EXPECT_FALSE(automaton(" ?yes").skips_space());
  EXPECT_FALSE(reads(automaton(" ?yes"), "  yes"));
}

TEST(Automaton, ends_where_nothing_may_follow) {
  const Automaton made = automaton("ab?");
  const Automaton::State a = made.next(made.start(), 'a');
  EXPECT_TRUE(made.accepts(a));
  EXPECT_FALSE(made.is_final(a));
  EXPECT_TRUE(made.is_final(made.next(a, 'b')));
}

TEST(Automaton, refuses_patterns_and_says_where) {
  const std::string repeat = "expected {m}, {m,} or {m,n}: m at most n, n 1 to 256 (the character is \\{)";
  const std::string nothing = "nothing, expected a part of the answer (the mark for one that may be missing is ?)";
  const std::pair<std::string, std::string> cases[] = {
      {"", "a pattern of 0 bytes, expected 1 to 512"},
      {std::string(513, 'a'), "a pattern of 513 bytes, expected 1 to 512"},
      {"(ab", "at byte 0: a '(' that is not closed, expected )"},
      {"ab)", "at byte 2: a ')' that closes nothing, expected \\) or the end"},
      {"a|", "at byte 2: " + nothing},
      {"|a", "at byte 0: " + nothing},
      {"a()", "at byte 2: " + nothing},
      {"*a", "at byte 0: nothing is there to be repeated; a \\ before it makes it a character"},
      {"a**", "at byte 2: nothing is there to be repeated; a \\ before it makes it a character"},
      {"a{", "at byte 1: " + repeat},
      {"a{}", "at byte 1: " + repeat},
      {"a{0}", "at byte 1: " + repeat},
      {"a{0,0}", "at byte 1: " + repeat},
      {"a{3,2}", "at byte 1: " + repeat},
      {"a{257}", "at byte 1: " + repeat},
      {"a{99999999999999999999}", "at byte 1: " + repeat},
      {"a{1,2", "at byte 1: " + repeat},
      {"a{x}", "at byte 1: " + repeat},
      {"^a", "at byte 0: a pattern is of the whole answer, without ^ and $; a \\ before it makes it a character"},
      {"a$", "at byte 1: a pattern is of the whole answer, without ^ and $; a \\ before it makes it a character"},
      {"a\\",
       "at byte 1: a '\\', expected \\d \\w \\s \\n \\r \\t or one before a character that is no letter or digit"},
      {"\\1",
       "at byte 0: a '\\', expected \\d \\w \\s \\n \\r \\t or one before a character that is no letter or digit"},
      {"[ab", "at byte 0: a '[' that is not closed, expected ]"},
      {"a[]", "at byte 1: a class of no character, expected at least one"},
      {"[^ -~]", "at byte 0: a class of no character, expected at least one"},
      {"[b-a]", "at byte 1: a character or range of a class, expected ASCII, the lower end first"},
      {"[\xC3\xA4]", "at byte 1: a character or range of a class, expected ASCII, the lower end first"},
      {"[a-\\d]", "at byte 1: a character or range of a class, expected ASCII, the lower end first"},
      {"[\\.-z]", "at byte 3: a range from a \\ on, expected characters without at its ends"},
      {"((((((((((a))))))))))", "at byte 8: a group inside of 8 others, expected at most 8"},
  };
  for (const auto& [pattern, message] : cases) {
    EXPECT_EQ(outcome_of(pattern), "llm-bad-pattern: " + message);
  }
}

TEST(Automaton, refuses_what_would_be_large_or_slow) {
  const std::string many =
      "llm-constraint-too-large: a pattern of more than 256 bytes and classes, each as often as it "
      "may come";
  EXPECT_EQ(outcome_of("a{256}"), "made");
  EXPECT_EQ(outcome_of("a{256}b"), many);
  EXPECT_EQ(outcome_of("((((((((a{255}){255}){255}){255}){255}){255}){255}){255})"), many);
  // 2^13 states: whether an a stood 13 characters ago.
  EXPECT_EQ(outcome_of("(a|b)*a(a|b){12}"), "llm-constraint-too-large: more than 1023 states of 4 classes of bytes");
  // Each byte leads from each set of positions to many.
  EXPECT_EQ(outcome_of("(.?){200}|a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z|0|1|2"),
            "llm-constraint-too-large: a pattern whose states take more than 500000 steps to find");
  EXPECT_EQ(outcome_of(".{0,220}|a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z"), "made");
  EXPECT_EQ(outcome_of("(.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*)*"), "made");
}

TEST(Automaton, reads_choices_and_nothing_else) {
  const std::string_view choices[] = {"load", "low", "low battery", "\xC3\xA4", "load"};
  const auto made = Automaton::of_choices(choices);
  ASSERT_TRUE(made);
  for (const std::string_view choice : choices) {
    EXPECT_TRUE(reads(*made, choice));
  }
  for (const std::string_view other : {"", "lo", "lowbattery", "low ", "loads", "\xC3"}) {
    EXPECT_FALSE(reads(*made, other)) << other;
  }
  EXPECT_EQ(made->states(), 17U);  // beginnings are there once; one more is for the space
  expect_no_dead_end(*made);
}

TEST(Automaton, refuses_choices_by_their_place) {
  const auto refusal = [](const std::vector<std::string_view>& choices) {
    const auto made = Automaton::of_choices(choices);
    return made ? "made" : said(made.error());
  };
  EXPECT_EQ(refusal({}), "llm-bad-choice: 0 choices, expected 1 to 64");
  EXPECT_EQ(refusal(std::vector<std::string_view>(65, "a")), "llm-bad-choice: 65 choices, expected 1 to 64");
  EXPECT_EQ(refusal({"a", ""}), "llm-bad-choice: choice 1 has 0 bytes, expected 1 to 128");
  const std::string long_one(129, 'a');
  EXPECT_EQ(refusal({long_one}), "llm-bad-choice: choice 0 has 129 bytes, expected 1 to 128");
  std::vector<std::string> texts;
  std::vector<std::string_view> views;
  for (char c = '0'; c < '0' + 9; ++c) {
    texts.push_back(std::string(128, c));
  }
  views.assign(texts.begin(), texts.end());
  EXPECT_EQ(refusal(views), "llm-constraint-too-large: more than 1023 states of 11 classes of bytes");
  views.resize(7);
  EXPECT_EQ(refusal(views), "made");
}

/// Patterns that a std::regex reads, too.
class RandomPattern {
 public:
  explicit RandomPattern(std::uint32_t seed) : random_(seed) {}
  std::string alternatives(int depth) {
    std::string text = sequence(depth);
    while (random_() % 4 == 0) {
      text += "|" + sequence(depth);
    }
    return text;
  }
  std::string text() {
    std::string made;
    for (std::size_t left = random_() % 6; left > 0; --left) {
      made += "abc0"[random_() % 4];
    }
    return made;
  }

 private:
  std::string sequence(int depth) {
    std::string text;
    for (std::size_t left = 1 + random_() % 3; left > 0; --left) {
      static constexpr const char* kRepeats[] = {"", "", "", "?", "*", "+", "{2}", "{0,2}", "{1,}", "{1,3}"};
      text += atom(depth) + kRepeats[random_() % std::size(kRepeats)];
    }
    return text;
  }
  std::string atom(int depth) {
    static constexpr const char* kAtoms[] = {"a", "b", "c", ".", "[ab]", "[^a]", "\\d", "[a-b0]", "\\w"};
    return depth > 0 && random_() % 3 == 0 ? "(" + alternatives(depth - 1) + ")"
                                           : kAtoms[random_() % std::size(kAtoms)];
  }
  std::mt19937 random_;
};

TEST(Automaton, reads_random_patterns_as_the_library_does) {
  int made = 0;
  int matched = 0;
  for (std::uint32_t seed = 0; seed < 250; ++seed) {
    RandomPattern random(seed);
    const std::string pattern = random.alternatives(1);
    const auto automaton = Automaton::of_pattern(pattern);
    if (!automaton) {
      EXPECT_EQ(automaton.error().name, "llm-constraint-too-large") << pattern;
      continue;
    }
    ++made;
    expect_no_dead_end(*automaton);
    const std::regex regex(pattern);
    for (int i = 0; i < 20; ++i) {
      const std::string text = random.text();
      const bool matches = std::regex_match(text, regex);
      matched += matches ? 1 : 0;
      ASSERT_EQ(reads(*automaton, text), matches) << pattern << " against " << text;
    }
  }
  EXPECT_GT(made, 240);
  EXPECT_GT(matched, 500);
}

TEST(Automaton, without_memory_is_not_made) {
  std::set<std::string> said;
  std::string outcome;
  const auto note = [&] { said.insert(outcome); };
  kernel::fail_each_allocation([&] { outcome = outcome_of("a+"); }, note);
  EXPECT_EQ(outcome, "made");
  const std::string_view choices[] = {"a"};
  kernel::fail_each_allocation(
      [&] {
        const auto made = Automaton::of_choices(choices);
        outcome = made ? "made" : llm::said(made.error());
      },
      note);
  EXPECT_EQ(outcome, "made");
  EXPECT_EQ(said, (std::set<std::string>{
                      "llm-no-memory: no memory to read a pattern", "llm-no-memory: no memory for a pattern's states",
                      "llm-no-memory: no memory for the states of choices", "llm-no-memory: no memory for 3 states"}));
}

}  // namespace
}  // namespace guest::llm
