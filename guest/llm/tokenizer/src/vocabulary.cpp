#include "guest/llm/tokenizer/vocabulary.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"
#include "shown.hpp"

namespace guest::llm {
namespace {

constexpr std::string_view kBad = "tokenizer-bad-vocabulary";

/// Of an f32 that is finite: a number that is lower the higher the f32 is. IEEE 754 orders magnitudes as their bits.
std::uint32_t rank_of(std::uint32_t f32_bits) {
  constexpr std::uint32_t kSign = 0x8000'0000U;
  if (f32_bits == kSign) {
    f32_bits = 0;  // -0 is 0
  }
  // Ascending: those below 0 turned over, and before the others.
  return ~((f32_bits & kSign) != 0 ? ~f32_bits : f32_bits | kSign);
}

bool is_finite_f32(std::uint32_t bits) { return (bits & 0x7F80'0000U) != 0x7F80'0000U; }

/// An array of `key` that has an element for each token.
std::expected<gguf::Array, kernel::NamedError> array_of(const gguf::File& file, std::string_view key,
                                                        gguf::ValueType type, std::uint64_t size) {
  auto array = file.array(key, type);
  if (array && array->size() != size) {
    return kernel::fail(kBad, "'{}' has {} elements, expected one for each of {} tokens", key, array->size(), size);
  }
  return array;
}

}  // namespace

std::string_view Vocabulary::text(Token token) const {
  kernel::require(token < size_, "a token beyond the vocabulary");
  return entries_[token].text;
}

TokenType Vocabulary::type(Token token) const {
  kernel::require(token < size_, "a token beyond the vocabulary");
  return entries_[token].type;
}

std::uint32_t Vocabulary::rank(Token token) const {
  kernel::require(token < size_, "a token beyond the vocabulary");
  return entries_[token].rank;
}

std::optional<Token> Vocabulary::find(std::string_view text) const {
  const Token* const end = by_text_.get() + size_;
  const Token* const at =
      std::ranges::lower_bound(by_text_.get(), end, text, {}, [this](Token token) { return entries_[token].text; });
  return at != end && entries_[*at].text == text ? std::optional(*at) : std::nullopt;
}

std::optional<Token> Vocabulary::find_normal(std::string_view text) const {
  const auto found = find(text);
  return found && entries_[*found].type == TokenType::Normal ? found : std::nullopt;
}

kernel::Outcome Vocabulary::read_entries(const gguf::File& file, bool scored) {
  const auto tokens = file.array("tokenizer.ggml.tokens", gguf::ValueType::String);
  if (!tokens) {
    return std::unexpected(tokens.error());
  }
  if (tokens->size() == 0 || tokens->size() > kMaxTokens) {
    return kernel::fail("tokenizer-too-large", "{} tokens, expected 1 to {}", tokens->size(), kMaxTokens);
  }
  const auto types = array_of(file, "tokenizer.ggml.token_type", gguf::ValueType::I32, tokens->size());
  if (!types) {
    return std::unexpected(types.error());
  }
  // Without scores all are alike, and nobody asks.
  const auto scores = scored ? array_of(file, "tokenizer.ggml.scores", gguf::ValueType::F32, tokens->size()) : *types;
  if (!scores) {
    return std::unexpected(scores.error());
  }
  size_ = static_cast<std::uint32_t>(tokens->size());
  entries_.reset(new (std::nothrow) Entry[size_]);
  if (entries_ == nullptr) {
    return kernel::fail("tokenizer-no-memory", "no memory for {} tokens", size_);
  }
  gguf::Strings texts = tokens->strings();
  for (Token token = 0; token < size_; ++token) {
    Entry& entry = entries_[token];
    entry.text = texts.next().value_or(std::string_view());
    if (entry.text.empty() || entry.text.size() > kMaxTokenBytes) {
      return kernel::fail(kBad, "token {} has {} bytes, expected 1 to {}", token, entry.text.size(), kMaxTokenBytes);
    }
    const std::uint64_t type = types->bits(token);
    if (type < static_cast<std::uint64_t>(TokenType::Normal) || type > static_cast<std::uint64_t>(TokenType::Byte)) {
      return kernel::fail(kBad, "token {}, '{}', has type {}, expected 1 to 6", token, shown(entry.text),
                          static_cast<std::int64_t>(type));
    }
    entry.type = static_cast<TokenType>(type);
    if (entry.type == TokenType::UserDefined) {
      return kernel::fail("tokenizer-unsupported",
                          "token {}, '{}', is user-defined: expected normal and control tokens", token,
                          shown(entry.text));
    }
    const auto score = static_cast<std::uint32_t>(scores->bits(token));
    if (scored && !is_finite_f32(score)) {
      return kernel::fail(kBad, "token {}, '{}', has a score that is not finite", token, shown(entry.text));
    }
    entry.rank = rank_of(score);
  }
  return {};
}

kernel::Outcome Vocabulary::order_by_text() {
  by_text_.reset(new (std::nothrow) Token[size_]);
  if (by_text_ == nullptr) {
    return kernel::fail("tokenizer-no-memory", "no memory for the order of {} tokens", size_);
  }
  for (Token token = 0; token < size_; ++token) {
    by_text_[token] = token;
  }
  std::sort(by_text_.get(), by_text_.get() + size_,
            [this](Token a, Token b) { return entries_[a].text < entries_[b].text; });
  for (std::uint32_t i = 1; i < size_; ++i) {
    if (entries_[by_text_[i]].text == entries_[by_text_[i - 1]].text) {
      const auto [first, second] = std::minmax(by_text_[i - 1], by_text_[i]);
      return kernel::fail(kBad, "tokens {} and {} are both '{}'", first, second, shown(entries_[first].text));
    }
  }
  return {};
}

std::expected<Vocabulary, kernel::NamedError> Vocabulary::read(const gguf::File& file, bool scored) {
  Vocabulary vocabulary;
  if (const kernel::Outcome outcome = vocabulary.read_entries(file, scored); !outcome) {
    return std::unexpected(outcome.error());
  }
  if (const kernel::Outcome outcome = vocabulary.order_by_text(); !outcome) {
    return std::unexpected(outcome.error());
  }
  return vocabulary;
}

}  // namespace guest::llm
