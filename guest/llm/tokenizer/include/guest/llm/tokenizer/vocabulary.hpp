// The tokens of a model file (docs/models.md, Tokenizers).
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>

#include "guest/gguf/file.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::llm {

using Token = std::uint32_t;

/// llama.cpp, llama_token_type, as tokenizer.ggml.token_type has them.
enum class TokenType : std::uint8_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,
  UserDefined = 4,  ///< refused: they would have to be looked for before anything else
  Unused = 5,
  Byte = 6,  ///< "<0x41>"
};

/// Tokens by number and by text. Refers to the file's bytes. Const calls from any thread.
class Vocabulary {
 public:
  static constexpr std::uint64_t kMaxTokens = 262'144;
  static constexpr std::uint64_t kMaxTokenBytes = 1024;

  /// Reads tokenizer.ggml.tokens, token_type, and with `scored` scores. Errors: gguf-... of these keys; and
  ///   tokenizer-bad-vocabulary   which token is what it must not be: empty, too long, there twice, of no type, or with
  ///                              a score that is not finite; or arrays of different sizes
  ///   tokenizer-unsupported      a token that is user-defined
  ///   tokenizer-too-large        more than kMaxTokens
  ///   tokenizer-no-memory
  static std::expected<Vocabulary, kernel::NamedError> read(const gguf::File& file, bool scored);

  [[nodiscard]] std::uint32_t size() const { return size_; }
  /// As it stands in the file. `token` is below size(), as in the next two.
  [[nodiscard]] std::string_view text(Token token) const;
  [[nodiscard]] TokenType type(Token token) const;
  /// Of two tokens the one with the lower rank has the higher score. Equal scores: equal ranks.
  [[nodiscard]] std::uint32_t rank(Token token) const;

  /// A token of any type by its whole text.
  [[nodiscard]] std::optional<Token> find(std::string_view text) const;
  /// The same, of type Normal: what text may become.
  [[nodiscard]] std::optional<Token> find_normal(std::string_view text) const;

 private:
  struct Entry {
    std::string_view text;
    std::uint32_t rank = 0;
    TokenType type = TokenType::Normal;
  };

  Vocabulary() = default;
  kernel::Outcome read_entries(const gguf::File& file, bool scored);
  kernel::Outcome order_by_text();

  std::unique_ptr<Entry[]> entries_;
  std::unique_ptr<Token[]> by_text_;
  std::uint32_t size_ = 0;
};

}  // namespace guest::llm
