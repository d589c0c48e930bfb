// Text to tokens and back, as the model file says (docs/models.md, Tokenizers).
//
//   SentencePiece (tokenizer.ggml.model "llama")   characters, the neighbours with the best score merged first, bytes
//                                                  for what is in no token
//   byte pairs ("gpt2")                            words of the pre-tokenizer, then bytes, merged in the order of a
//   table
//
// No floating point. A text is any bytes; those that are no UTF-8 come back as they were.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "guest/llm/tokenizer/vocabulary.hpp"

namespace guest::llm {

struct EncodeOptions {
  /// At the beginning of a text: with the token that the file wants there.
  bool begin_token = true;
  /// As the file says, a space before the text's first word.
  bool leading_space = true;
};

/// Refers to the file's bytes, which outlive it. Const calls from any thread; encode() allocates.
class Tokenizer {
 public:
  static constexpr std::size_t kMaxTextBytes = std::size_t{256} * 1024;
  static constexpr std::uint64_t kMaxMerges = 524'288;

  /// Errors: those of Vocabulary::read() and of keys (gguf-...), and
  ///   tokenizer-unsupported      a kind, a pre-tokenizer or a rule that is not here
  ///   tokenizer-bad-vocabulary   a byte without a token, or with two; a special token that does not exist
  ///   tokenizer-bad-merges       a merge that is not two tokens which make a third one, or is there twice
  static std::expected<Tokenizer, kernel::NamedError> make(const gguf::File& file);

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  /// The tokenizer.ggml.model of the file: "llama", "gpt2".
  [[nodiscard]] std::string_view kind() const { return rule_ == Rule::SentencePiece ? "llama" : "gpt2"; }
  /// What encode() puts first; nothing: the file does not want it.
  [[nodiscard]] std::optional<Token> begin_token() const { return begin_; }
  /// A model that says this has finished.
  [[nodiscard]] bool is_end(Token token) const { return token == end_ || token == end_of_turn_; }

  /// The tokens of `text`, as many as fit into `out`. Returns how many there are: if that is more than out.size(),
  /// what is in `out` is unspecified. Control tokens are never made from text; who wants one finds it by its name
  /// (Vocabulary::find()). Takes O(n log n) steps of a look-up each, and some 60 bytes of memory for each of the
  /// text's, for as long as it runs. Errors: tokenizer-text-too-long, tokenizer-no-memory.
  std::expected<std::size_t, kernel::NamedError> encode(std::string_view text, std::span<Token> out,
                                                        EncodeOptions options = {}) const;

  /// The text of `tokens`, as many bytes as fit into `out`. Returns how many there are, as encode() does. Control
  /// tokens and such as do not exist have none. A character may be spread over tokens, so a part of a text need not end
  /// with a whole one.
  /// @param at_begin these are a text's first tokens: without the space that encode() put there
  std::size_t decode(std::span<const Token> tokens, std::span<char> out, bool at_begin) const;

 private:
  enum class Rule : std::uint8_t { SentencePiece, LlamaBpe, Gpt2 };
  /// Two neighbours that become one token; the lowest rank first.
  struct Merge {
    Token left;
    Token right;
    std::uint32_t rank;
    Token merged;
    [[nodiscard]] std::uint64_t pair() const { return std::uint64_t{left} << 32 | right; }
  };
  class Encoding;

  explicit Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  kernel::Outcome read_special(const gguf::File& file);
  kernel::Outcome find_bytes();
  kernel::Outcome read_merges(const gguf::File& file);
  [[nodiscard]] std::expected<Merge, kernel::NamedError> read_merge(std::string_view text, std::uint32_t rank) const;
  [[nodiscard]] const Merge* find_merge(Token left, Token right) const;

  Vocabulary vocabulary_;
  Rule rule_ = Rule::SentencePiece;
  bool leading_space_ = false;
  std::optional<Token> begin_;
  std::optional<Token> end_;
  std::optional<Token> end_of_turn_;
  std::array<Token, 256> bytes_{};   ///< the token of each byte
  std::unique_ptr<Merge[]> merges_;  ///< by left, then right
  std::uint32_t merge_count_ = 0;
};

}  // namespace guest::llm
