// Words of a text, which byte pairs do not cross. A word is what the first alternative that fits takes:
//
//   GPT-2       's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   llama-bpe   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
//               \s+(?!\S)|\s+
//
// Letters and numbers are those of unicode_classes.hpp. A byte that is no character is neither.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guest::llm {

enum class Words : std::uint8_t { Gpt2, LlamaBpe };

/// Where the word ends that begins at `at`, which is below text.size(). Looks at each byte of the word a fixed number
/// of times, and at most at one character beyond it.
std::size_t end_of_word(Words words, std::string_view text, std::size_t at);

}  // namespace guest::llm
