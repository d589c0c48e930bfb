// A shell line as commands of words.
//
//   line     = command *( ";" command ) [ "#" comment ]
//   command  = *word                                    words are separated by blanks and tabs
//   word     = 1*( plain | "\" any | '...' | "..." )    pieces that touch are one word, as in  a'b c'"d"
//
// Between single quotes every byte stands for itself. Between double quotes \\ \" \n \t \r are escapes and any other
// backslash is an error. Elsewhere a backslash makes the next character plain. "#" starts a comment where a word could.
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"

namespace guest::shell {

inline constexpr std::size_t kMaxWords = 128;    ///< of all commands of a line
inline constexpr std::size_t kMaxCommands = 32;  ///< of a line

/// Why a line is not what it should be: static text, and where.
struct LineError {
  std::string_view what;
  std::size_t offset;  ///< into the line, bytes
};

/// The commands of a line; none of them is empty. The words are views into the scratch memory of parse_line().
class ParsedLine {
 public:
  [[nodiscard]] std::size_t size() const { return commands_.size(); }
  [[nodiscard]] std::span<const std::string_view> command(std::size_t index) const {
    const Range& range = commands_[index];
    return std::span(words_.begin(), words_.size()).subspan(range.first, range.count);
  }

 private:
  friend class LineParser;
  struct Range {
    std::size_t first;
    std::size_t count;
  };
  kernel::BoundedArray<std::string_view, kMaxWords> words_;
  kernel::BoundedArray<Range, kMaxCommands> commands_;
};

/// Parses the whole of `line`, so that nothing runs of a line that is wrong further on. `line` is valid UTF-8 and the
/// words are too. `scratch` is at least as long as the line; it may not overlap it.
std::expected<ParsedLine, LineError> parse_line(std::string_view line, std::span<char> scratch);

}  // namespace guest::shell
