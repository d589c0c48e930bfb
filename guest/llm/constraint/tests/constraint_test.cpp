// Which tokens may come, against each token looked at by itself.
#include "guest/llm/constraint/constraint.hpp"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <set>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/llm/tokenizer/testing/vocabularies.hpp"

namespace guest::llm {
namespace {

/// Some words besides the bytes, with and without the space before them. The last token of the file is of no use.
std::string vocabulary(bool pieces) {
  testing::Tokens tokens = pieces ? testing::pieces() : testing::bytes();
  const std::string space = pieces ? "\xE2\x96\x81" : testing::byte_text(' ');
  std::vector<std::string> parts = {"a", "b", "c", "y", "e", "s", "n", "o", space};
  if (pieces) {
    for (const char* letter : {"a", "b", "c", "y", "e", "s", "n", "o"}) {
      tokens.add(letter);
    }
  }
  std::mt19937 random(3);
  for (const char* word : {"yes", "no", "ab", "abc", "cab", "yesno"}) {
    for (const std::string& front : {std::string(), space, space + space}) {
      tokens.add(front + word);
    }
  }
  tokens.add("<other>", TokenType::Control);
  return (pieces ? testing::piece_file(tokens) : testing::pair_file(tokens, "gpt-2")).bytes();
}

class Vocabularies : public ::testing::TestWithParam<bool> {
 protected:
  Vocabularies() : tokenizer_(vocabulary(GetParam())), texts_(*TokenTexts::make(*tokenizer_)) {}

  std::unique_ptr<Constraint> constraint(std::string_view pattern, std::uint32_t extra = 5) {
    return std::move(*Constraint::make(*Automaton::of_pattern(pattern), texts_, size() + extra));
  }
  [[nodiscard]] std::uint32_t size() const { return tokenizer_->vocabulary().size(); }
  [[nodiscard]] std::string text(Token token) const { return tokenizer_.decode({token}, false); }
  static bool has(std::span<const std::uint64_t> tokens, Token token) {
    return (tokens[token / 64] >> (token % 64) & 1) != 0;
  }
  static std::vector<Token> list(std::span<const std::uint64_t> tokens) {
    std::vector<Token> all;
    for (Token token = 0; token < tokens.size() * 64; ++token) {
      if (has(tokens, token)) {
        all.push_back(token);
      }
    }
    return all;
  }

  testing::Loaded tokenizer_;
  TokenTexts texts_;
};

/// What of the automaton's state can be asked: does any answer begin so, and may one end so?
struct Reader {
  Automaton automaton;
  Automaton::State state = automaton.start();
  [[nodiscard]] Automaton::State after(std::string_view text) const {
    Automaton::State at = state;
    for (std::size_t i = 0; i < text.size() && at != Automaton::kDead; ++i) {
      at = automaton.next(at, static_cast<std::uint8_t>(text[i]));
    }
    return at;
  }
};

TEST_P(Vocabularies, random_answers_match_and_all_that_may_come_may) {
  const char* const kPatterns[] = {"yes|no",   "(ab|c|no){1,6}", "[a-c]*",          "\\d+ (yes)?",
                                   "(yes ?)+", "..?.?.?",        "\xC3\xA4(b|\n)+", "( yes| no){2}"};
  std::mt19937 random(1);
  for (const char* const pattern : kPatterns) {
    const std::regex whole(pattern);
    for (int seed = 0; seed < 5; ++seed) {
      const auto answer = constraint(pattern);
      Reader reader{*Automaton::of_pattern(pattern)};
      std::string said;
      for (int steps = 0; steps < 24 && !answer->is_complete(); ++steps) {
        const auto allowed = answer->allowed();
        for (Token token = 0; token < size(); ++token) {
          const TokenType type = tokenizer_->vocabulary().type(token);
          const bool speaks = (type == TokenType::Normal || type == TokenType::Byte) && !tokenizer_->is_end(token);
          const bool may = speaks ? reader.after(text(token)) != Automaton::kDead
                                  : tokenizer_->is_end(token) && reader.automaton.accepts(reader.state);
          ASSERT_EQ(has(allowed, token), may) << pattern << " after " << said << " token " << token;
        }
        const std::vector<Token> choices = list(allowed);
        ASSERT_FALSE(choices.empty());
        ASSERT_LT(choices.back(), size());
        const Token token = choices[random() % choices.size()];
        if (tokenizer_->is_end(token)) {
          break;
        }
        const std::string next = text(token);
        reader.state = reader.after(next);
        said += next.substr(answer->take(next));
      }
      if (reader.automaton.accepts(reader.state)) {
        EXPECT_TRUE(std::regex_match(said, whole)) << pattern << " against " << said;
      }
    }
  }
}

TEST_P(Vocabularies, the_space_before_a_word_is_not_of_the_answer) {
  const auto answer = constraint("yes|no");
  std::string all;
  for (const Token token : list(answer->allowed())) {
    all += "'" + text(token) + "' ";
  }
  EXPECT_TRUE(all.contains("' yes' ")) << all;
  EXPECT_FALSE(all.contains("'  yes' ")) << all;
  EXPECT_FALSE(all.contains("yesno")) << all;
  EXPECT_EQ(answer->take(" yes"), 1U);
  EXPECT_TRUE(answer->is_complete());
  const auto alone = constraint("yes|no");
  EXPECT_EQ(alone->take(" "), 1U);
  EXPECT_EQ(alone->take("no"), 0U);
  EXPECT_TRUE(alone->is_complete());
  EXPECT_EQ(constraint(" yes")->take(" yes"), 0U);
}

TEST_P(Vocabularies, knows_states_it_has_seen) {
  const auto answer = constraint("(ab|no)+");
  const std::vector<Token> first = list(answer->allowed());
  answer->take("ab");
  const std::vector<Token> later = list(answer->allowed());
  for (int i = 0; i < 20; ++i) {
    answer->take(i % 2 == 0 ? "a" : "n");
    EXPECT_NE(list(answer->allowed()), later);
    answer->take(i % 2 == 0 ? "b" : "o");
    EXPECT_EQ(list(answer->allowed()), later);
  }
  EXPECT_NE(first, later);  // an end, and no space
}

INSTANTIATE_TEST_SUITE_P(Constraint, Vocabularies, ::testing::Bool());

TEST(Constraint, without_memory_is_not_made) {
  const testing::Loaded tokenizer(vocabulary(true));
  auto automaton = Automaton::of_pattern("a");
  ASSERT_TRUE(automaton);
  std::string outcome;
  std::set<std::string> said;
  std::size_t attempts = 0;
  kernel::fail_each_allocation(
      [&] {
        const auto texts = TokenTexts::make(*tokenizer);
        if (!texts) {
          outcome = texts.error().detail.view();
          return;
        }
        ++attempts;
        // Another one each time: what is moved is gone, and to make it would be an allocation.
        auto copy = std::move(*automaton);
        const auto made = Constraint::make(std::move(copy), *texts, 300);
        outcome = made ? "made" : std::string(made.error().detail.view());
      },
      [&] {
        said.insert(outcome);
        automaton = Automaton::of_pattern("a");
      });
  EXPECT_EQ(outcome, "made");
  EXPECT_EQ(attempts, 6U);  // itself, four sets of tokens, and once with all
  ASSERT_EQ(said.size(), 2U);
  EXPECT_TRUE(said.begin()->starts_with("no memory for the texts of ")) << *said.begin();
  EXPECT_EQ(*said.rbegin(), "no memory to choose among 300 tokens");
}

}  // namespace
}  // namespace guest::llm
