// Files whose tokenizer is not what it should be, and files of others.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <ostream>
#include <set>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/llm/tokenizer/testing/vocabularies.hpp"

namespace guest::llm {
namespace {

using gguf::testing::Builder;
using testing::bytes;
using testing::Loaded;
using testing::pair_file;
using testing::piece_file;
using testing::pieces;
using testing::Tokens;

struct Case {
  const char* what;
  std::string file;
  const char* error;
};
void PrintTo(const Case& refused, std::ostream* out) { *out << refused.what; }

std::string with_pieces(void (*change)(Tokens&)) {
  Tokens tokens = pieces();
  change(tokens);
  return piece_file(tokens).bytes();
}
std::string with_pairs(void (*change)(Tokens&)) {
  Tokens tokens = bytes();
  tokens.add("ab");
  change(tokens);
  return pair_file(tokens, "gpt-2").bytes();
}
template <typename T>
std::string with_key(const char* key, T value) {
  return piece_file(pieces()).put(key, value).bytes();
}

std::vector<Case> kinds() {
  return {
      {"no kind", Builder().bytes(), "gguf-missing-key: there is no 'tokenizer.ggml.model', expected string"},
      {"another kind", Builder().put("tokenizer.ggml.model", "t5").bytes(),
       "tokenizer-unsupported: 'tokenizer.ggml.model' is 't5', expected llama or gpt2"},
      {"no words", Builder().put("tokenizer.ggml.model", "gpt2").bytes(),
       "gguf-missing-key: there is no 'tokenizer.ggml.pre', expected string"},
      {"other words", pair_file(bytes(), "qwen2").bytes(),
       "tokenizer-unsupported: 'tokenizer.ggml.pre' is 'qwen2', expected gpt-2 or llama-bpe"},
      {"fewer spaces", with_key("tokenizer.ggml.remove_extra_whitespaces", true),
       "tokenizer-unsupported: 'tokenizer.ggml.remove_extra_whitespaces' is true, expected false"},
      {"spaces as they are", with_key("tokenizer.ggml.escape_whitespaces", false),
       "tokenizer-unsupported: 'tokenizer.ggml.escape_whitespaces' is false, expected true"},
      {"other characters", with_key("tokenizer.ggml.precompiled_charsmap", "x"),
       "tokenizer-unsupported: 'tokenizer.ggml.precompiled_charsmap': characters are not replaced here"},
      {"a flag that is none", with_key("tokenizer.ggml.add_space_prefix", 1),
       "gguf-wrong-type: 'tokenizer.ggml.add_space_prefix' is i32, expected bool"},
      {"an end that does not exist", with_key("tokenizer.ggml.eot_token_id", std::uint32_t{260}),
       "tokenizer-bad-vocabulary: 'tokenizer.ggml.eot_token_id' is 260, expected a token below 260"},
      {"no begin",
       Builder()
           .put("tokenizer.ggml.model", "llama")
           .put_array("tokenizer.ggml.tokens", pieces().texts)
           .put_array("tokenizer.ggml.token_type", pieces().types)
           .put_array("tokenizer.ggml.scores", pieces().scores)
           .bytes(),
       "tokenizer-bad-vocabulary: a text shall begin with a token, but there is no 'tokenizer.ggml.bos_token_id'"},
  };
}

std::vector<Case> vocabularies() {
  return {
      {"no tokens", piece_file({}).bytes(), "tokenizer-too-large: 0 tokens, expected 1 to 262144"},
      {"more tokens than are read",
       Builder()
           .put("tokenizer.ggml.model", "llama")
           .put_array("tokenizer.ggml.tokens", std::vector<std::string>(262'145))
           .bytes(),
       "tokenizer-too-large: 262145 tokens, expected 1 to 262144"},
      {"a type fewer", with_pieces([](Tokens& t) { t.types.pop_back(); }),
       "tokenizer-bad-vocabulary: 'tokenizer.ggml.token_type' has 259 elements, expected one for each of 260 tokens"},
      {"a score more", with_pieces([](Tokens& t) { t.scores.push_back(0); }),
       "tokenizer-bad-vocabulary: 'tokenizer.ggml.scores' has 261 elements, expected one for each of 260 tokens"},
      {"an empty token", with_pieces([](Tokens& t) { t.add(""); }),
       "tokenizer-bad-vocabulary: token 260 has 0 bytes, expected 1 to 1024"},
      {"a token of 1025 bytes", with_pieces([](Tokens& t) { t.add(std::string(1025, 'x')); }),
       "tokenizer-bad-vocabulary: token 260 has 1025 bytes, expected 1 to 1024"},
      {"type 0", with_pieces([](Tokens& t) { t.types[2] = 0; }),
       "tokenizer-bad-vocabulary: token 2, '</s>', has type 0, expected 1 to 6"},
      {"type -1", with_pieces([](Tokens& t) { t.types[2] = -1; }),
       "tokenizer-bad-vocabulary: token 2, '</s>', has type -1, expected 1 to 6"},
      {"a user's token", with_pieces([](Tokens& t) { t.add("<|x|>", TokenType::UserDefined); }),
       "tokenizer-unsupported: token 260, '<|x|>', is user-defined: expected normal and control tokens"},
      {"a score of NaN", with_pieces([](Tokens& t) { t.scores[1] = std::numeric_limits<float>::quiet_NaN(); }),
       "tokenizer-bad-vocabulary: token 1, '<s>', has a score that is not finite"},
      {"a score of infinity", with_pieces([](Tokens& t) { t.scores[1] = -std::numeric_limits<float>::infinity(); }),
       "tokenizer-bad-vocabulary: token 1, '<s>', has a score that is not finite"},
      {"a token twice", with_pieces([](Tokens& t) { t.add("</s>"); }),
       "tokenizer-bad-vocabulary: tokens 2 and 260 are both '</s>'"},
      {"a byte fewer", with_pieces([](Tokens& t) { t.texts[3 + 0x41] = "A"; }),
       "tokenizer-bad-vocabulary: no token stands for byte 0x41"},
      {"a byte that is text", with_pieces([](Tokens& t) { t.types[3 + 0x41] = 1; }),
       "tokenizer-bad-vocabulary: no token stands for byte 0x41"},
      {"no space", with_pieces([](Tokens& t) { t.texts[259] = "_"; }),
       "tokenizer-bad-vocabulary: no token stands for a space"},
      {"a byte too many", with_pieces([](Tokens& t) { t.add("<0x4a>", TokenType::Byte); }),
       "tokenizer-bad-vocabulary: token 260, '<0x4a>', is of a byte, expected <0x00> to <0xFF>"},
      {"a pair's byte fewer", with_pairs([](Tokens& t) { t.types[' '] = 3; }),
       "tokenizer-bad-vocabulary: no token stands for byte 0x20"},
  };
}

std::vector<Case> merges() {
  return {
      {"no merges",
       Builder()
           .put("tokenizer.ggml.model", "gpt2")
           .put("tokenizer.ggml.pre", "gpt-2")
           .put_array("tokenizer.ggml.tokens", bytes().texts)
           .put_array("tokenizer.ggml.token_type", bytes().types)
           .bytes(),
       "gguf-missing-key: there is no 'tokenizer.ggml.merges', expected an array"},
      {"more merges than are read", with_pairs([](Tokens& t) { t.merges.assign(524'289, "a b"); }),
       "tokenizer-too-large: 524289 merges, at most 524288 are read"},
      {"no space", with_pairs([](Tokens& t) { t.merges = {"ab"}; }),
       "tokenizer-bad-merges: merge 0, 'ab': expected two tokens with a space between, which make a third one"},
      {"nothing", with_pairs([](Tokens& t) { t.merges = {""}; }),
       "tokenizer-bad-merges: merge 0, '': expected two tokens with a space between, which make a third one"},
      {"nothing to the left", with_pairs([](Tokens& t) { t.merges = {" ab"}; }),
       "tokenizer-bad-merges: merge 0, ' ab': expected two tokens with a space between, which make a third one"},
      {"three parts", with_pairs([](Tokens& t) { t.merges = {"a b c"}; }),
       "tokenizer-bad-merges: merge 0, 'a b c': expected two tokens with a space between, which make a third one"},
      {"a part that is no token", with_pairs([](Tokens& t) { t.merges = {"a b", "ax b"}; }),
       "tokenizer-bad-merges: merge 1, 'ax b': expected two tokens with a space between, which make a third one"},
      {"a result that is no token", with_pairs([](Tokens& t) { t.merges = {"b a"}; }),
       "tokenizer-bad-merges: merge 0, 'b a': expected two tokens with a space between, which make a third one"},
      {"too long", with_pairs([](Tokens& t) { t.merges = {std::string(1024, 'a') + " b"}; }),
       "tokenizer-bad-merges: merge 0 has 1026 bytes, expected at most 1024"},
      {"a merge twice", with_pairs([](Tokens& t) { t.merges = {"a b", "a b"}; }),
       "tokenizer-bad-merges: merges 0 and 1 are of the same tokens"},
  };
}

class Refused : public ::testing::TestWithParam<Case> {};
TEST_P(Refused, with_the_reason) { EXPECT_EQ(Loaded(GetParam().file).outcome(), GetParam().error); }
INSTANTIATE_TEST_SUITE_P(Kinds, Refused, ::testing::ValuesIn(kinds()));
INSTANTIATE_TEST_SUITE_P(Vocabularies, Refused, ::testing::ValuesIn(vocabularies()));
INSTANTIATE_TEST_SUITE_P(Merges, Refused, ::testing::ValuesIn(merges()));

TEST(Tokenizer, without_memory_is_refused) {
  Tokens tokens = bytes();
  tokens.add("ab");
  tokens.merges = {"a b"};
  for (const std::string& bytes : {piece_file(pieces()).bytes(), pair_file(tokens, "gpt-2").bytes()}) {
    const auto file = gguf::File::open(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(file);
    std::set<std::string> said;
    std::string outcome;
    kernel::fail_each_allocation(
        [&] {
          const auto made = Tokenizer::make(*file);
          const auto encoded = made ? made->encode("a b", {}) : std::unexpected(made.error());
          outcome = encoded ? "encoded" : std::string(encoded.error().detail.view());
        },
        [&] { said.insert(outcome); });
    EXPECT_EQ(outcome, "encoded");
    EXPECT_TRUE(said.contains("no memory for 260 tokens") || said.contains("no memory for 258 tokens"));
    EXPECT_TRUE(said.contains("no memory for the order of 260 tokens") || said.contains("no memory for 1 merges"));
    EXPECT_TRUE(said.contains("no memory for a text of 3 bytes"));
    EXPECT_TRUE(said.contains("no memory for a text of 3 characters") ||
                said.contains("no memory for a text of 4 characters"));
  }
}

TEST(Tokenizer, of_stories_is_that_of_others) {
  for (const char* name : {"stories260K.f32.gguf", "stories260K.q8_0.gguf"}) {
    std::ifstream stream(std::string(SIS_SHARED_MODELS "/") + name, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    if (bytes.empty()) {
      GTEST_SKIP() << "no " << SIS_SHARED_MODELS "/" << name;
    }
    const Loaded loaded(bytes);
    ASSERT_EQ(loaded.outcome(), "made");
    EXPECT_EQ(loaded.encode("Once upon a time"), (std::vector<Token>{403, 407, 261, 378}));
    EXPECT_EQ(loaded->begin_token(), 1U);
    EXPECT_TRUE(loaded->is_end(2));
    EXPECT_EQ(loaded.decode({1, 403, 407, 261, 378}), "Once upon a time");
    const std::string text = "Lily's mom said, \"Gr\xC3\xBC\xC3\x9F Gott!\"\n\t  \xF0\x9F\x98\x80 ";
    EXPECT_EQ(loaded.decode(loaded.encode(text)), text);
  }
}

}  // namespace
}  // namespace guest::llm
