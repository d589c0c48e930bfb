#include <algorithm>
#include <cstring>
#include <new>

#include "byte_characters.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"
#include "merger.hpp"
#include "pre_tokenizer.hpp"
#include "space_piece.hpp"
#include "utf8.hpp"

namespace guest::llm {
namespace {

/// The first of what is put into it, and how much there was.
template <typename T>
class Sink {
 public:
  explicit Sink(std::span<T> out) : out_(out) {}
  void put(T value) {
    if (count_ < out_.size()) {
      out_[count_] = value;
    }
    ++count_;
  }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  std::span<T> out_;
  std::size_t count_ = 0;
};

/// A text that grows; there is room for what is put into it.
class Scratch {
 public:
  /// False: there is no memory.
  [[nodiscard]] bool reserve(std::size_t bytes) {
    memory_.reset(new (std::nothrow) char[bytes]);
    return memory_ != nullptr;
  }
  void put(std::string_view text) {
    std::memcpy(memory_.get() + size_, text.data(), text.size());
    size_ += text.size();
  }
  [[nodiscard]] std::string_view view() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<char[]> memory_;
  std::size_t size_ = 0;
};

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += character_at(text, at).bytes) {
    ++count;
  }
  return count;
}

}  // namespace

/// One call of encode().
class Tokenizer::Encoding final : public MergeRule {
 public:
  Encoding(const Tokenizer& tokenizer, std::span<Token> out) : tokenizer_(tokenizer), sink_(out) {}

  void put(Token token) { sink_.put(token); }
  [[nodiscard]] std::size_t count() const { return sink_.count(); }
  kernel::Outcome put_pieces(std::string_view text, bool leading_space);
  kernel::Outcome put_words(std::string_view text);

  [[nodiscard]] std::optional<Merged> merge(const Symbol& left, const Symbol& right) const override {
    const Vocabulary& vocabulary = tokenizer_.vocabulary_;
    if (tokenizer_.rule_ == Rule::SentencePiece) {
      const auto found = vocabulary.find_normal(text_.substr(left.begin, left.bytes + right.bytes));
      return found ? std::optional(Merged{.token = *found, .rank = vocabulary.rank(*found)}) : std::nullopt;
    }
    const Merge* const found = tokenizer_.find_merge(left.token, right.token);
    return found != nullptr ? std::optional(Merged{.token = found->merged, .rank = found->rank}) : std::nullopt;
  }

 private:
  static std::unexpected<kernel::NamedError> no_memory(std::size_t bytes) {
    return kernel::fail("tokenizer-no-memory", "no memory for a text of {} bytes", bytes);
  }
  void put_word(Merger& merger, std::size_t begin, std::size_t end);

  const Tokenizer& tokenizer_;
  Sink<Token> sink_;
  std::string_view text_;  ///< what symbols are parts of
};

kernel::Outcome Tokenizer::Encoding::put_pieces(std::string_view text, bool leading_space) {
  Scratch scratch;
  const auto spaces = static_cast<std::size_t>(std::ranges::count(text, ' ')) + (leading_space ? 1 : 0);
  if (!scratch.reserve(text.size() + spaces * kSpacePiece.size())) {
    return no_memory(text.size());
  }
  if (leading_space) {
    scratch.put(kSpacePiece);
  }
  for (const char& c : text) {
    scratch.put(c == ' ' ? kSpacePiece : std::string_view(&c, 1));
  }
  text_ = scratch.view();
  auto merger = Merger::make(count_characters(text_));
  if (!merger) {
    return std::unexpected(merger.error());
  }
  for (std::size_t at = 0; at < text_.size();) {
    const std::uint32_t bytes = character_at(text_, at).bytes;
    merger->add(static_cast<std::uint32_t>(at), bytes,
                tokenizer_.vocabulary_.find_normal(text_.substr(at, bytes)).value_or(kNoToken));
    at += bytes;
  }
  merger->run(*this);
  merger->each([this](const Symbol& symbol) {
    if (symbol.token != kNoToken) {
      return put(symbol.token);
    }
    for (const char c : text_.substr(symbol.begin, symbol.bytes)) {
      put(tokenizer_.bytes_[static_cast<unsigned char>(c)]);
    }
  });
  return {};
}

/// The word's characters are [begin, end) of text_.
void Tokenizer::Encoding::put_word(Merger& merger, std::size_t begin, std::size_t end) {
  if (tokenizer_.rule_ == Rule::LlamaBpe) {
    // These files have tokens that no row of merges leads to.
    if (const auto whole = tokenizer_.vocabulary_.find_normal(text_.substr(begin, end - begin))) {
      return put(*whole);
    }
  }
  merger.clear();
  for (std::size_t at = begin; at < end;) {
    const Character character = character_at(text_, at);
    merger.add(static_cast<std::uint32_t>(at), character.bytes,
               tokenizer_.bytes_[byte_of_character(character.code).value_or(0)]);
    at += character.bytes;
  }
  merger.run(*this);
  merger.each([this](const Symbol& symbol) { put(symbol.token); });
}

kernel::Outcome Tokenizer::Encoding::put_words(std::string_view text) {
  Scratch scratch;
  if (!scratch.reserve(text.size() * sizeof(ByteText::text))) {
    return no_memory(text.size());
  }
  auto merger = Merger::make(text.size());
  if (!merger) {
    return std::unexpected(merger.error());
  }
  const Words words = tokenizer_.rule_ == Rule::LlamaBpe ? Words::LlamaBpe : Words::Gpt2;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = end_of_word(words, text, at);
    const std::size_t begin_of_characters = scratch.view().size();
    for (; at < end; ++at) {
      const ByteText character = text_of_byte(static_cast<std::uint8_t>(text[at]));
      scratch.put({character.text, character.bytes});
    }
    text_ = scratch.view();
    put_word(*merger, begin_of_characters, text_.size());
  }
  return {};
}

std::expected<std::size_t, kernel::NamedError> Tokenizer::encode(std::string_view text, std::span<Token> out,
                                                                 EncodeOptions options) const {
  if (text.size() > kMaxTextBytes) {
    return kernel::fail("tokenizer-text-too-long", "a text of {} bytes, at most {} are taken", text.size(),
                        kMaxTextBytes);
  }
  Encoding encoding(*this, out);
  if (options.begin_token && begin_) {
    encoding.put(*begin_);
  }
  if (!text.empty()) {
    const bool leading_space = options.leading_space && leading_space_;
    const kernel::Outcome outcome =
        rule_ == Rule::SentencePiece ? encoding.put_pieces(text, leading_space) : encoding.put_words(text);
    if (!outcome) {
      return std::unexpected(outcome.error());
    }
  }
  return encoding.count();
}

namespace {

/// SentencePiece: the characters for spaces are spaces.
void put_piece(std::string_view text, Sink<char>& sink) {
  while (!text.empty()) {
    if (text.starts_with(kSpacePiece)) {
      sink.put(' ');
      text.remove_prefix(kSpacePiece.size());
    } else {
      sink.put(text.front());
      text.remove_prefix(1);
    }
  }
}

/// Byte pairs: characters are bytes; such as no byte has are text.
void put_characters(std::string_view text, Sink<char>& sink) {
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    if (const auto byte = byte_of_character(character.code)) {
      sink.put(static_cast<char>(*byte));
    } else {
      std::ranges::for_each(text.substr(at, character.bytes), [&sink](char c) { sink.put(c); });
    }
    at += character.bytes;
  }
}

}  // namespace

std::size_t Tokenizer::decode(std::span<const Token> tokens, std::span<char> out, bool at_begin) const {
  Sink<char> sink(out);
  bool strip = at_begin && leading_space_ && rule_ == Rule::SentencePiece;
  for (const Token token : tokens) {
    const TokenType type = token < vocabulary_.size() ? vocabulary_.type(token) : TokenType::Control;
    if (type == TokenType::Control) {
      continue;
    }
    std::string_view text = vocabulary_.text(token);
    if (type == TokenType::Byte) {
      sink.put(static_cast<char>(std::ranges::find(bytes_, token) - bytes_.begin()));
    } else if (rule_ == Rule::SentencePiece) {
      if (strip && text.starts_with(kSpacePiece)) {
        text.remove_prefix(kSpacePiece.size());
      }
      put_piece(text, sink);
    } else {
      put_characters(text, sink);
    }
    strip = false;
  }
  return sink.count();
}

}  // namespace guest::llm
