// What the tokens of a vocabulary say, in the order of their bytes: tokens that begin alike stand side by side, so
// that a beginning that no answer has is looked at once.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"

namespace guest::llm {

/// Of its own memory. Const calls from any thread.
class TokenTexts {
 public:
  struct Entry {
    Token token;
    std::uint32_t offset;
    std::uint16_t bytes;   ///< at least 1
    std::uint16_t shared;  ///< of them, the first that are those of the entry before, too
  };

  /// Some 12 bytes and its text for each token that is normal or a byte, of `tokenizer`. The others say nothing that
  /// an answer could have in it. Error: llm-no-memory.
  static std::expected<TokenTexts, kernel::NamedError> make(const Tokenizer& tokenizer);

  [[nodiscard]] std::span<const Entry> entries() const { return {entries_.get(), count_}; }
  [[nodiscard]] std::string_view text(const Entry& entry) const { return {bytes_.get() + entry.offset, entry.bytes}; }
  /// Those that end an answer.
  [[nodiscard]] std::span<const Token> ends() const { return {ends_.begin(), ends_.size()}; }
  [[nodiscard]] std::uint64_t bytes() const { return byte_count_ + count_ * sizeof(Entry); }

 private:
  TokenTexts() = default;
  void add(const Tokenizer& tokenizer, Token token);
  void order();

  std::unique_ptr<Entry[]> entries_;
  std::unique_ptr<char[]> bytes_;
  std::uint32_t count_ = 0;
  std::uint32_t byte_count_ = 0;
  kernel::BoundedArray<Token, 2> ends_;
};

}  // namespace guest::llm
