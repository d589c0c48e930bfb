// Byte pairs: words, merges, and back.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "../src/pre_tokenizer.hpp"
#include "guest/llm/tokenizer/testing/vocabularies.hpp"

namespace guest::llm {
namespace {

using testing::byte_text;
using testing::byte_texts;
using testing::bytes;
using testing::Loaded;
using testing::pair_file;
using testing::Tokens;
using List = std::vector<Token>;

/// Merges that lead to " the" and "the"; 257 and on.
Tokens small() {
  Tokens tokens = bytes();
  for (const char* text : {"th", "the", " the"}) {
    tokens.add(byte_texts(text));
  }
  tokens.merges = {"t h", "th e", byte_text(' ') + " the"};
  return tokens;
}
enum : Token { kTh = 257, kThe, kBlankThe };

TEST(BytePairs, merge_in_the_order_of_the_table) {
  const Loaded loaded(pair_file(small(), "gpt-2").bytes());
  ASSERT_EQ(loaded.outcome(), "made");
  EXPECT_EQ(loaded->kind(), "gpt2");
  EXPECT_EQ(loaded.encode("the the"), (List{kThe, kBlankThe}));
  EXPECT_EQ(loaded.encode("tthh"), (List{'t', kTh, 'h'}));
  EXPECT_EQ(loaded.encode(""), List{});
}

TEST(BytePairs, do_not_cross_words) {
  Tokens tokens = small();
  tokens.add(byte_texts("e "));
  tokens.merges.insert(tokens.merges.begin(), "e " + byte_text(' '));
  const Loaded loaded(pair_file(tokens, "gpt-2").bytes());
  EXPECT_EQ(loaded.encode("the the"), (List{kThe, kBlankThe}));
}

TEST(BytePairs, of_llama_take_whole_words_first) {
  Tokens tokens = small();
  tokens.add("thethe");  // no merge makes it
  EXPECT_EQ(Loaded(pair_file(tokens, "gpt-2").bytes()).encode("thethe"), (List{kThe, kThe}));
  EXPECT_EQ(Loaded(pair_file(tokens, "llama-bpe").bytes()).encode("thethe"), (List{kBlankThe + 1}));
}

TEST(BytePairs, become_bytes) {
  const Loaded loaded(pair_file(small(), "gpt-2").bytes());
  EXPECT_EQ(loaded.decode({kThe, kBlankThe, 256}), "the the");
  EXPECT_TRUE(loaded->is_end(256));
  std::string all;
  for (unsigned byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  EXPECT_EQ(loaded.decode(loaded.encode(all)), all);
  Tokens tokens = small();
  tokens.add("\xE4\xB8\xAD");  // no byte has this character
  EXPECT_EQ(Loaded(pair_file(tokens, "gpt-2").bytes()).decode({kBlankThe + 1}), "\xE4\xB8\xAD");
}

TEST(Words, are_those_of_the_reference) {
  std::ifstream file(SIS_WORDS);
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    std::istringstream fields(line);
    std::string kind;
    std::string digits;
    fields >> kind >> digits;
    std::string text;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      text += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    }
    std::size_t at = 0;
    for (std::size_t size = 0; fields >> size; at += size) {
      ASSERT_EQ(end_of_word(kind == "gpt-2" ? Words::Gpt2 : Words::LlamaBpe, text, at), at + size)
          << line << " at " << at;
    }
    ASSERT_EQ(at, text.size());
  }
  EXPECT_EQ(lines, 244U);
}

/// The pair with the lowest rank, everywhere, until there is none.
List reference(const std::map<std::string, Token>& tokens,
               const std::map<std::pair<std::string, std::string>, int>& ranks, const std::string& word) {
  std::vector<std::string> parts;
  for (const char c : word) {
    parts.push_back(byte_text(static_cast<unsigned char>(c)));
  }
  for (;;) {
    std::size_t best = parts.size();
    int rank = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && (best == parts.size() || found->second < rank)) {
        best = i;
        rank = found->second;
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
    list.push_back(tokens.at(part));
  }
  return list;
}

TEST(BytePairs, of_random_tables_are_those_of_the_reference) {
  std::mt19937 random(9);
  for (int round = 0; round < 10; ++round) {
    Tokens tokens = bytes();
    std::map<std::string, Token> map;
    for (Token token = 0; token < 256; ++token) {
      map.emplace(tokens.texts[token], token);
    }
    std::map<std::pair<std::string, std::string>, int> ranks;
    std::vector<std::string> parts = {"a", "b", "c"};
    while (ranks.size() < 40) {
      const std::string left = parts[random() % parts.size()];
      const std::string right = parts[random() % parts.size()];
      if (!ranks.emplace(std::pair(left, right), static_cast<int>(ranks.size())).second) {
        continue;
      }
      tokens.merges.push_back(left + " " + right);
      if (map.emplace(left + right, static_cast<Token>(tokens.texts.size())).second) {
        tokens.add(left + right);
        parts.push_back(left + right);
      }
    }
    const Loaded loaded(pair_file(tokens, "gpt-2").bytes());
    ASSERT_EQ(loaded.outcome(), "made");
    for (int i = 0; i < 50; ++i) {
      std::string word;
      for (std::size_t length = 1 + random() % 40; length > 0; --length) {
        word += "abcd"[random() % 4];
      }
      ASSERT_EQ(loaded.encode(word), reference(map, ranks, word)) << word;
    }
  }
}

TEST(BytePairs, of_any_bytes_come_back) {
  const Loaded loaded(pair_file(small(), "llama-bpe").bytes());
  std::mt19937 random(4);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (std::size_t length = random() % 60; length > 0; --length) {
      text += static_cast<char>(random());
    }
    ASSERT_EQ(loaded.decode(loaded.encode(text)), text);
  }
}

}  // namespace
}  // namespace guest::llm
