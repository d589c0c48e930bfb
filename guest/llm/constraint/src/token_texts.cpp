#include "guest/llm/constraint/token_texts.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"

namespace guest::llm {
namespace {

bool says_something(const Tokenizer& tokenizer, Token token) {
  const TokenType type = tokenizer.vocabulary().type(token);
  return !tokenizer.is_end(token) && (type == TokenType::Normal || type == TokenType::Byte);
}

/// As it stands in an answer.
std::size_t size_of(const Tokenizer& tokenizer, Token token) { return tokenizer.decode({&token, 1}, {}, false); }

}  // namespace

std::expected<TokenTexts, kernel::NamedError> TokenTexts::make(const Tokenizer& tokenizer) {
  TokenTexts texts;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;
  static_assert(Vocabulary::kMaxTokens * Vocabulary::kMaxTokenBytes < UINT32_MAX);
  for (Token token = 0; token < tokenizer.vocabulary().size(); ++token) {
    if (says_something(tokenizer, token)) {
      ++count;
      bytes += static_cast<std::uint32_t>(size_of(tokenizer, token));
    }
  }
  texts.entries_.reset(new (std::nothrow) Entry[count]);
  texts.bytes_.reset(new (std::nothrow) char[bytes]);
  if (texts.entries_ == nullptr || texts.bytes_ == nullptr) {
    return kernel::fail("llm-no-memory", "no memory for the texts of {} tokens, {} bytes", count, bytes);
  }
  for (Token token = 0; token < tokenizer.vocabulary().size(); ++token) {
    if (says_something(tokenizer, token)) {
      texts.add(tokenizer, token);
    } else if (tokenizer.is_end(token)) {
      kernel::require(texts.ends_.push_back(token), "more tokens end an answer than there are kinds of them");
    }
  }
  texts.order();
  return texts;
}

void TokenTexts::add(const Tokenizer& tokenizer, Token token) {
  const std::size_t size = size_of(tokenizer, token);
  kernel::require(size > 0 && size <= Vocabulary::kMaxTokenBytes, "a token's text is longer than it may be");
  static_cast<void>(tokenizer.decode({&token, 1}, {bytes_.get() + byte_count_, size}, false));
  entries_[count_++] = {.token = token, .offset = byte_count_, .bytes = static_cast<std::uint16_t>(size), .shared = 0};
  byte_count_ += static_cast<std::uint32_t>(size);
}

void TokenTexts::order() {
  const std::span all(entries_.get(), count_);
  std::ranges::sort(all, [this](const Entry& a, const Entry& b) {
    const int order = text(a).compare(text(b));
    return order != 0 ? order < 0 : a.token < b.token;
  });
  for (std::size_t i = 1; i < all.size(); ++i) {
    const std::string_view before = text(all[i - 1]);
    const std::string_view here = text(all[i]);
    all[i].shared = static_cast<std::uint16_t>(std::ranges::mismatch(before, here).in2 - here.begin());
  }
}

}  // namespace guest::llm
