// SentencePiece: tokens of text and back.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "guest/llm/tokenizer/testing/vocabularies.hpp"

namespace guest::llm {
namespace {

using testing::Loaded;
using testing::piece_file;
using testing::pieces;
using testing::Tokens;

const std::string kSpace = "\xE2\x96\x81";

/// Some pieces, of which the higher ones are better.
Tokens small() {
  Tokens tokens = pieces();
  float score = -1;
  for (const std::string& text :
       {kSpace + "t", std::string("he"), kSpace + "the", std::string("in"), std::string("t"), std::string("h"),
        std::string("e"), std::string("i"), std::string("n"), std::string("re")}) {
    tokens.add(text, TokenType::Normal, score);
    score -= 1;
  }
  return tokens;
}
enum : Token { kBlank = 259, kT, kHe, kThe, kIn, kLetterT, kH, kE, kI, kN, kRe };

Token byte(unsigned char value) { return 3U + value; }
using List = std::vector<Token>;

TEST(Pieces, merge_by_their_scores) {
  const Loaded loaded(piece_file(small()).bytes());
  ASSERT_EQ(loaded.outcome(), "made");
  EXPECT_EQ(loaded->kind(), "llama");
  EXPECT_EQ(loaded.encode("the"), (List{kThe}));
  EXPECT_EQ(loaded.encode("the in"), (List{kThe, kBlank, kIn}));
  EXPECT_EQ(loaded.encode("hen"), (List{kBlank, kHe, kN}));
  EXPECT_EQ(loaded.encode(""), (List{}));
  EXPECT_EQ(loaded.encode(" "), (List{kBlank, kBlank}));
}

TEST(Pieces, are_bytes_where_there_is_no_token) {
  const Loaded loaded(piece_file(small()).bytes());
  EXPECT_EQ(loaded.encode("x\xC3\xA4"), (List{kBlank, byte('x'), byte(0xC3), byte(0xA4)}));
  EXPECT_EQ(loaded.encode("\xFF\n"), (List{kBlank, byte(0xFF), byte('\n')}));
}

TEST(Pieces, of_equal_scores_merge_from_the_left) {
  Tokens tokens = pieces();
  for (const char* text : {"a", "aa", "aaa"}) {
    tokens.add(text, TokenType::Normal, 0);
  }
  const Loaded loaded(piece_file(tokens).put("tokenizer.ggml.add_space_prefix", false).bytes());
  EXPECT_EQ(loaded.encode("aaaaa"), (List{262, 261}));
}

TEST(Pieces, begin_as_the_file_and_the_caller_say) {
  const Loaded loaded(piece_file(small()).bytes());
  EXPECT_EQ(loaded->begin_token(), 1U);
  EXPECT_EQ(loaded.encode("the", {}), (List{1, kThe}));
  EXPECT_EQ(loaded.encode("", {}), (List{1}));
  EXPECT_EQ(loaded.encode("he", {.begin_token = false, .leading_space = false}), (List{kHe}));
  const Loaded without(piece_file(small())
                           .put("tokenizer.ggml.add_bos_token", false)
                           .put("tokenizer.ggml.add_space_prefix", false)
                           .bytes());
  EXPECT_EQ(without->begin_token(), std::nullopt);
  EXPECT_EQ(without.encode("he", {}), (List{kHe}));
}

TEST(Pieces, are_never_control_tokens) {
  Tokens tokens = small();
  for (const char* text : {"<", "s", ">", "<s", "s>"}) {
    tokens.add(text);
  }
  const Loaded loaded(piece_file(tokens).bytes());
  const List encoded = loaded.encode("<s></s><0x41>");
  EXPECT_EQ(std::ranges::count(encoded, 1U) + std::ranges::count(encoded, byte(0x41)), 0);
  EXPECT_EQ(loaded.decode(encoded), "<s></s><0x41>");
  EXPECT_EQ(loaded->vocabulary().find("<s>"), 1U);
}

TEST(Pieces, become_text) {
  const Loaded loaded(piece_file(small()).bytes());
  EXPECT_EQ(loaded.decode({1, kThe, kBlank, kIn, 2}), "the in");
  EXPECT_EQ(loaded.decode({kThe, kThe}, false), " the the");
  EXPECT_EQ(loaded.decode({byte(0xC3), byte(0xA4), 100'000}), "\xC3\xA4");
  EXPECT_TRUE(loaded->is_end(2));
  EXPECT_FALSE(loaded->is_end(1));
}

TEST(Tokenizer, says_how_much_room_it_needs) {
  const Loaded loaded(piece_file(small()).bytes());
  Token two[2] = {7, 7};
  EXPECT_EQ(loaded->encode("the in", two, {}).value(), 4U);
  EXPECT_EQ(loaded->encode("the in", {}, {}).value(), 4U);
  char three[3] = {};
  EXPECT_EQ(loaded->decode(List{kThe, kThe}, three, true), 7U);
}

TEST(Tokenizer, merges_a_long_text_in_little_time) {
  Tokens tokens = pieces();
  for (std::size_t length = 1; length <= 1024; length *= 2) {
    tokens.add(std::string(length, 'h'), TokenType::Normal, -static_cast<float>(length));
  }
  const Loaded loaded(piece_file(tokens).bytes());
  // With steps for each pair of characters this would take minutes.
  EXPECT_EQ(loaded.encode(std::string(std::size_t{1} << 16, 'h')).size(), 1 + 64U);
}

TEST(Tokenizer, refuses_what_is_too_long) {
  const Loaded loaded(piece_file(pieces()).bytes());
  const auto refused = loaded->encode(std::string(Tokenizer::kMaxTextBytes + 1, 'h'), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().name, "tokenizer-text-too-long");
  EXPECT_EQ(refused.error().detail.view(), "a text of 262145 bytes, at most 262144 are taken");
}

/// The same in the plainest way: the best pair of all is looked for anew each time.
List reference(const std::map<std::string, std::pair<Token, float>>& tokens, const std::string& text) {
  std::vector<std::string> parts(1, kSpace);
  for (const char c : text) {
    parts.push_back(c == ' ' ? kSpace : std::string(1, c));
  }
  for (;;) {
    std::size_t best = parts.size();
    float score = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = tokens.find(parts[i] + parts[i + 1]);
      if (found != tokens.end() && (best == parts.size() || found->second.second > score)) {
        best = i;
        score = found->second.second;
      }
    }
    if (best == parts.size()) {
      break;
    }
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  List list;
  for (const std::string& part : parts) {
    if (const auto found = tokens.find(part); found != tokens.end()) {
      list.push_back(found->second.first);
      continue;
    }
    std::ranges::transform(part, std::back_inserter(list), [](char c) { return byte(static_cast<unsigned char>(c)); });
  }
  return list;
}

TEST(Pieces, of_random_vocabularies_are_those_of_the_reference) {
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    Tokens tokens = pieces();
    std::map<std::string, std::pair<Token, float>> map = {{kSpace, {259, -100}}};
    for (int i = 0; i < 60; ++i) {
      std::string text;
      for (std::size_t length = 1 + random() % 4; length > 0; --length) {
        const char c = " abcd"[random() % 5];
        text += c == ' ' ? kSpace : std::string(1, c);
      }
      // Few scores, of both signs and with both zeros, so that many are equal.
      const float score = static_cast<float>(random() % 5) * (random() % 2 == 0 ? -1.0F : 1.0F);
      if (map.emplace(text, std::pair(static_cast<Token>(tokens.texts.size()), score)).second) {
        tokens.add(text, TokenType::Normal, score);
      }
    }
    const Loaded loaded(piece_file(tokens).bytes());
    ASSERT_EQ(loaded.outcome(), "made");
    for (int i = 0; i < 50; ++i) {
      std::string text;
      for (std::size_t length = 1 + random() % 40; length > 0; --length) {
        text += " abcde"[random() % 6];
      }
      ASSERT_EQ(loaded.encode(text), reference(map, text)) << text;
      ASSERT_EQ(loaded.decode(loaded.encode(text)), text);
    }
  }
}

TEST(Pieces, of_any_bytes_come_back) {
  const Loaded loaded(piece_file(small()).bytes());
  std::mt19937 random(4);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (std::size_t length = random() % 60; length > 0; --length) {
      text += static_cast<char>(random());
    }
    if (text.find(kSpace) == std::string::npos) {  // which comes back as a space
      ASSERT_EQ(loaded.decode(loaded.encode(text)), text);
    }
  }
}

}  // namespace
}  // namespace guest::llm
