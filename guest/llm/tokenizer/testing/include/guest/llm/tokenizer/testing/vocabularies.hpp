// Vocabularies in GGUF files.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "guest/gguf/testing/builder.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"

namespace guest::llm::testing {

/// What a file says of its tokens.
struct Tokens {
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
  std::vector<float> scores;
  std::vector<std::string> merges;

  void add(std::string text, TokenType type = TokenType::Normal, float score = 0) {
    texts.push_back(std::move(text));
    types.push_back(static_cast<std::int32_t>(type));
    scores.push_back(score);
  }
};

/// <unk>, <s>, </s>, the 256 bytes, and a space: the least that there can be of SentencePiece. 260 tokens.
inline Tokens pieces() {
  Tokens tokens;
  tokens.add("<unk>", TokenType::Unknown);
  tokens.add("<s>", TokenType::Control);
  tokens.add("</s>", TokenType::Control);
  for (unsigned byte = 0; byte < 256; ++byte) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    tokens.add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", TokenType::Byte);
  }
  tokens.add("\xE2\x96\x81", TokenType::Normal, -100);
  return tokens;
}

/// A byte as GPT-2 writes it.
inline std::string byte_text(unsigned byte) {
  const auto seen = [](unsigned b) { return (b > 32 && b < 127) || (b > 160 && b != 173); };
  unsigned code = byte;
  if (!seen(byte)) {
    code = 256;
    for (unsigned other = 0; other < byte; ++other) {
      code += seen(other) ? 0 : 1;
    }
  }
  if (code < 128) {
    return {static_cast<char>(code)};
  }
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
}

inline std::string byte_texts(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += byte_text(static_cast<unsigned char>(byte));
  }
  return text;
}

/// The 256 bytes and <|end|>, as byte pairs begin.
inline Tokens bytes() {
  Tokens tokens;
  for (unsigned byte = 0; byte < 256; ++byte) {
    tokens.add(byte_text(byte));
  }
  tokens.add("<|end|>", TokenType::Control);
  return tokens;
}

inline gguf::testing::Builder piece_file(const Tokens& tokens) {
  gguf::testing::Builder builder;
  builder.put("tokenizer.ggml.model", "llama").put_array("tokenizer.ggml.tokens", tokens.texts);
  builder.put_array("tokenizer.ggml.token_type", tokens.types).put_array("tokenizer.ggml.scores", tokens.scores);
  builder.put("tokenizer.ggml.bos_token_id", std::uint32_t{1}).put("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  return builder;
}

inline gguf::testing::Builder pair_file(const Tokens& tokens, const char* words) {
  gguf::testing::Builder builder;
  builder.put("tokenizer.ggml.model", "gpt2").put("tokenizer.ggml.pre", words);
  builder.put_array("tokenizer.ggml.tokens", tokens.texts).put_array("tokenizer.ggml.token_type", tokens.types);
  builder.put_array("tokenizer.ggml.merges", tokens.merges).put("tokenizer.ggml.add_bos_token", false);
  builder.put("tokenizer.ggml.eos_token_id", std::uint32_t{256});
  return builder;
}

/// A tokenizer with what it refers to.
class Loaded {
 public:
  explicit Loaded(std::string file)
      : bytes_(std::move(file)), file_(gguf::File::open(std::as_bytes(std::span(bytes_)))) {
    if (!file_) {
      error_ = file_.error();
      return;
    }
    auto made = Tokenizer::make(*file_);
    if (made) {
      tokenizer_ = std::move(*made);
    } else {
      error_ = made.error();
    }
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  /// "made", or the error.
  [[nodiscard]] std::string outcome() const {
    return tokenizer_ ? "made" : std::string(error_.name) + ": " + std::string(error_.detail.view());
  }
  const Tokenizer* operator->() const { return &tokenizer_.value(); }
  const Tokenizer& operator*() const { return tokenizer_.value(); }

  [[nodiscard]] std::vector<Token> encode(std::string_view text, EncodeOptions options = {.begin_token = false}) const {
    std::vector<Token> tokens(2 * text.size() + 8);
    const auto count = tokenizer_->encode(text, tokens, options);
    tokens.resize(count.value());
    return tokens;
  }
  [[nodiscard]] std::string decode(const std::vector<Token>& tokens, bool at_begin = true) const {
    std::string text(tokenizer_->decode(tokens, {}, at_begin), '\0');
    static_cast<void>(tokenizer_->decode(tokens, text, at_begin));
    return text;
  }

 private:
  std::string bytes_;
  std::expected<gguf::File, kernel::NamedError> file_;
  std::optional<Tokenizer> tokenizer_;
  kernel::NamedError error_;
};

}  // namespace guest::llm::testing
