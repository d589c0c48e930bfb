#include "pre_tokenizer.hpp"

#include <algorithm>

#include "unicode_classes.hpp"
#include "utf8.hpp"

namespace guest::llm {
namespace {

bool is_line_end(std::uint32_t code) { return code == '\r' || code == '\n'; }
bool is_other(std::uint32_t code) { return !is_space(code) && !is_letter(code) && !is_number(code); }

/// Where the characters end that `belongs` takes, from `at`, at most `most` of them.
template <typename Belongs>
std::size_t end_of_run(std::string_view text, std::size_t at, Belongs belongs, std::size_t most = SIZE_MAX) {
  for (std::size_t count = 0; at < text.size() && count < most; ++count) {
    const Character next = character_at(text, at);
    if (!belongs(next.code)) {
      break;
    }
    at += next.bytes;
  }
  return at;
}

/// 's 't 're 've 'm 'll 'd; `at`: there is none.
std::size_t end_of_contraction(std::string_view text, std::size_t at, bool any_case) {
  if (text[at] != '\'') {
    return at;
  }
  const auto letter = [&](std::size_t i) {
    const char c = i < text.size() ? text[i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(at + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') {
    return at + 2;
  }
  const char second = letter(at + 2);
  const bool two =
      (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
  return two ? at + 3 : at;
}

/// Of a run of spaces: all of it at the text's end, else without the last one, which belongs to the next word if it
/// can; one alone is a word.
std::size_t end_of_spaces(std::string_view text, std::size_t at) {
  std::size_t before_last = at;
  std::size_t end = at;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (!is_space(next.code)) {
      return before_last > at ? before_last : end;
    }
    before_last = end;
    end += next.bytes;
  }
  return end;
}

std::size_t end_of_gpt2_word(std::string_view text, std::size_t at) {
  if (const std::size_t end = end_of_contraction(text, at, false); end > at) {
    return end;
  }
  const std::size_t body = text[at] == ' ' ? at + 1 : at;
  if (body < text.size()) {
    const std::uint32_t code = character_at(text, body).code;
    if (!is_space(code)) {
      return end_of_run(text, body, is_letter(code) ? is_letter : is_number(code) ? is_number : is_other);
    }
  }
  return end_of_spaces(text, at);
}

std::size_t end_of_llama_word(std::string_view text, std::size_t at) {
  if (const std::size_t end = end_of_contraction(text, at, true); end > at) {
    return end;
  }
  const Character first = character_at(text, at);
  const std::size_t second = at + first.bytes;
  if (is_letter(first.code)) {
    return end_of_run(text, at, is_letter);
  }
  if (is_number(first.code)) {
    return end_of_run(text, at, is_number, 3);
  }
  if (!is_line_end(first.code) && second < text.size() && is_letter(character_at(text, second).code)) {
    return end_of_run(text, second, is_letter);
  }
  const std::size_t body = first.code == ' ' ? second : at;
  if (const std::size_t end = end_of_run(text, body, is_other); end > body) {
    return end_of_run(text, end, is_line_end);
  }
  // Spaces, of which those up to the last line end are a word.
  const std::size_t spaces_end = end_of_run(text, at, is_space);
  const std::size_t line_end = text.substr(at, spaces_end - at).find_last_of("\r\n");
  return line_end != std::string_view::npos ? at + line_end + 1 : end_of_spaces(text, at);
}

}  // namespace

std::size_t end_of_word(Words words, std::string_view text, std::size_t at) {
  return words == Words::Gpt2 ? end_of_gpt2_word(text, at) : end_of_llama_word(text, at);
}

}  // namespace guest::llm
