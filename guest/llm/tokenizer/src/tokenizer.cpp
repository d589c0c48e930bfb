#include "guest/llm/tokenizer/tokenizer.hpp"

#include <algorithm>
#include <new>

#include "byte_characters.hpp"
#include "shown.hpp"
#include "space_piece.hpp"

namespace guest::llm {
namespace {

constexpr std::string_view kBadVocabulary = "tokenizer-bad-vocabulary";
constexpr std::string_view kBadMerges = "tokenizer-bad-merges";
constexpr std::string_view kUnsupported = "tokenizer-unsupported";

/// What a byte's token is called: "<0x0A>".
struct ByteName {
  char text[6] = {'<', '0', 'x', '0', '0', '>'};
  explicit ByteName(std::uint32_t byte) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    text[3] = kDigits[byte >> 4];
    text[4] = kDigits[byte & 0xF];
  }
  [[nodiscard]] std::string_view view() const { return {text, sizeof(text)}; }
};

/// A special token; nothing: the file names none.
std::expected<std::optional<Token>, kernel::NamedError> read_token(const gguf::File& file, std::string_view key,
                                                                   std::uint32_t size) {
  if (file.find(key) == nullptr) {
    return std::nullopt;
  }
  const auto token = file.integer(key);
  if (!token) {
    return std::unexpected(token.error());
  }
  if (*token >= size) {
    return kernel::fail(kBadVocabulary, "'{}' is {}, expected a token below {}", key, *token, size);
  }
  return static_cast<Token>(*token);
}

/// Rules that a file may ask for and that are not here.
kernel::Outcome refuse_other_rules(const gguf::File& file) {
  for (const std::string_view key : {"tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.escape_whitespaces"}) {
    const bool usual = key == "tokenizer.ggml.escape_whitespaces";
    const auto asked = file.boolean_or(key, usual);
    if (!asked) {
      return std::unexpected(asked.error());
    }
    if (*asked != usual) {
      return kernel::fail(kUnsupported, "'{}' is {}, expected {}", key, *asked, usual);
    }
  }
  if (constexpr std::string_view kMap = "tokenizer.ggml.precompiled_charsmap"; file.find(kMap) != nullptr) {
    return kernel::fail(kUnsupported, "'{}': characters are not replaced here", kMap);
  }
  return {};
}

}  // namespace

kernel::Outcome Tokenizer::read_special(const gguf::File& file) {
  const auto leading_space = file.boolean_or("tokenizer.ggml.add_space_prefix", rule_ == Rule::SentencePiece);
  const auto add_begin = file.boolean_or("tokenizer.ggml.add_bos_token", rule_ != Rule::Gpt2);
  const auto begin = read_token(file, "tokenizer.ggml.bos_token_id", vocabulary_.size());
  const auto end = read_token(file, "tokenizer.ggml.eos_token_id", vocabulary_.size());
  const auto end_of_turn = read_token(file, "tokenizer.ggml.eot_token_id", vocabulary_.size());
  for (const auto* read : {&begin, &end, &end_of_turn}) {
    if (!*read) {
      return std::unexpected(read->error());
    }
  }
  for (const auto* flag : {&leading_space, &add_begin}) {
    if (!*flag) {
      return std::unexpected(flag->error());
    }
  }
  if (*add_begin && !*begin) {
    return kernel::fail(kBadVocabulary,
                        "a text shall begin with a token, but there is no 'tokenizer.ggml.bos_token_id'");
  }
  leading_space_ = *leading_space;
  begin_ = *add_begin ? *begin : std::nullopt;
  end_ = *end;
  end_of_turn_ = *end_of_turn;
  return {};
}

kernel::Outcome Tokenizer::find_bytes() {
  for (std::uint32_t byte = 0; byte < bytes_.size(); ++byte) {
    const ByteName name(byte);
    const ByteText character = text_of_byte(static_cast<std::uint8_t>(byte));
    const bool pieces = rule_ == Rule::SentencePiece;
    const auto found = vocabulary_.find(pieces ? name.view() : std::string_view(character.text, character.bytes));
    if (!found || vocabulary_.type(*found) != (pieces ? TokenType::Byte : TokenType::Normal)) {
      return kernel::fail(kBadVocabulary, "no token stands for byte {:#x}", byte);
    }
    bytes_[byte] = *found;
  }
  // In bytes a space could not be told from the character that stands for it.
  if (rule_ == Rule::SentencePiece && !vocabulary_.find_normal(kSpacePiece)) {
    return kernel::fail(kBadVocabulary, "no token stands for a space");
  }
  for (Token token = 0; token < vocabulary_.size(); ++token) {
    if (vocabulary_.type(token) == TokenType::Byte && std::ranges::find(bytes_, token) == bytes_.end()) {
      return kernel::fail(kBadVocabulary, "token {}, '{}', is of a byte, expected <0x00> to <0xFF>", token,
                          shown(vocabulary_.text(token)));
    }
  }
  return {};
}

std::expected<Tokenizer::Merge, kernel::NamedError> Tokenizer::read_merge(std::string_view text,
                                                                          std::uint32_t rank) const {
  // No token of this kind has a space in it.
  const std::size_t space = text.find(' ');
  const std::string_view left = text.substr(0, space);
  const std::string_view right = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  if (left.size() + right.size() > Vocabulary::kMaxTokenBytes) {
    return kernel::fail(kBadMerges, "merge {} has {} bytes, expected at most {}", rank, text.size(),
                        Vocabulary::kMaxTokenBytes);
  }
  char both[Vocabulary::kMaxTokenBytes];
  char* const end = std::ranges::copy(right, std::ranges::copy(left, both).out).out;
  const auto left_token = vocabulary_.find_normal(left);
  const auto right_token = vocabulary_.find_normal(right);
  const auto merged = vocabulary_.find_normal({both, static_cast<std::size_t>(end - both)});
  if (!left_token || !right_token || !merged) {
    return kernel::fail(kBadMerges, "merge {}, '{}': expected two tokens with a space between, which make a third one",
                        rank, shown(text));
  }
  return Merge{.left = *left_token, .right = *right_token, .rank = rank, .merged = *merged};
}

kernel::Outcome Tokenizer::read_merges(const gguf::File& file) {
  const auto texts = file.array("tokenizer.ggml.merges", gguf::ValueType::String);
  if (!texts) {
    return std::unexpected(texts.error());
  }
  if (texts->size() > kMaxMerges) {
    return kernel::fail("tokenizer-too-large", "{} merges, at most {} are read", texts->size(), kMaxMerges);
  }
  merges_.reset(new (std::nothrow) Merge[texts->size()]);
  if (merges_ == nullptr) {
    return kernel::fail("tokenizer-no-memory", "no memory for {} merges", texts->size());
  }
  gguf::Strings strings = texts->strings();
  while (const auto text = strings.next()) {
    const auto merge = read_merge(*text, merge_count_);
    if (!merge) {
      return std::unexpected(merge.error());
    }
    merges_[merge_count_++] = *merge;
  }
  const std::span merges(merges_.get(), merge_count_);
  std::ranges::sort(merges, {}, &Merge::pair);
  const auto twice = std::ranges::adjacent_find(merges, {}, &Merge::pair);
  if (twice != merges.end()) {
    return kernel::fail(kBadMerges, "merges {} and {} are of the same tokens", std::min(twice[0].rank, twice[1].rank),
                        std::max(twice[0].rank, twice[1].rank));
  }
  return {};
}

const Tokenizer::Merge* Tokenizer::find_merge(Token left, Token right) const {
  const std::span<const Merge> merges(merges_.get(), merge_count_);
  const auto at = std::ranges::lower_bound(merges, Merge{.left = left, .right = right, .rank = 0, .merged = 0}.pair(),
                                           {}, &Merge::pair);
  return at != merges.end() && at->left == left && at->right == right ? &*at : nullptr;
}

std::expected<Tokenizer, kernel::NamedError> Tokenizer::make(const gguf::File& file) {
  const auto kind = file.text("tokenizer.ggml.model");
  if (!kind) {
    return std::unexpected(kind.error());
  }
  Rule rule = Rule::SentencePiece;
  if (*kind == "gpt2") {
    const auto words = file.text("tokenizer.ggml.pre");
    if (!words) {
      return std::unexpected(words.error());
    }
    if (*words != "gpt-2" && *words != "llama-bpe") {
      return kernel::fail(kUnsupported, "'tokenizer.ggml.pre' is '{}', expected gpt-2 or llama-bpe", shown(*words));
    }
    rule = *words == "gpt-2" ? Rule::Gpt2 : Rule::LlamaBpe;
  } else if (*kind != "llama") {
    return kernel::fail(kUnsupported, "'tokenizer.ggml.model' is '{}', expected llama or gpt2", shown(*kind));
  }
  auto vocabulary = Vocabulary::read(file, rule == Rule::SentencePiece);
  if (!vocabulary) {
    return std::unexpected(vocabulary.error());
  }
  Tokenizer tokenizer(std::move(*vocabulary));
  tokenizer.rule_ = rule;
  kernel::Outcome outcome = refuse_other_rules(file);
  if (outcome) {
    outcome = tokenizer.read_special(file);
  }
  if (outcome) {
    outcome = tokenizer.find_bytes();
  }
  if (outcome && rule != Rule::SentencePiece) {
    outcome = tokenizer.read_merges(file);
  }
  if (!outcome) {
    return std::unexpected(outcome.error());
  }
  return tokenizer;
}

}  // namespace guest::llm
