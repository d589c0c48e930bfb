// One line of input with cursor keys, history and completion, on a terminal that understands ECMA-48.
//
//   bytes --feed()--> [UTF-8 sequence | escape sequence | key] --> line and cursor --> echo on the terminal
//
// Keys: left, right, Home, End, Delete, Backspace, Ctrl-A (start), Ctrl-E (end), Ctrl-U (clear to start), Ctrl-K (clear
// to end), Ctrl-W (delete word), Ctrl-L (clear screen), Ctrl-C (drop the line), Ctrl-D (delete; refused on an empty
// line), up and down (history), Tab (complete a command's name). Characters count as one column each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::shell {

inline constexpr std::size_t kMaxLineBytes = 1024;
inline constexpr std::size_t kHistoryLines = 32;

/// Names that Tab completes, by index; sorted.
class NameList {
 public:
  [[nodiscard]] virtual std::size_t size() const = 0;
  [[nodiscard]] virtual std::string_view name(std::size_t index) const = 0;

 protected:
  ~NameList() = default;
};

/// The last lines that were entered. The oldest goes when there is no room.
class History {
 public:
  /// Empty lines and repetitions of the newest are not kept. `line` has at most kMaxLineBytes bytes.
  void add(std::string_view line);
  [[nodiscard]] std::size_t size() const { return count_; }
  /// `index` 0 is the oldest; below size().
  [[nodiscard]] std::string_view line(std::size_t index) const;

 private:
  struct Entry {
    std::array<char, kMaxLineBytes> text;
    std::size_t size;
  };
  std::array<Entry, kHistoryLines> entries_{};
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

class LineEditor {
 public:
  enum class Event : std::uint8_t {
    None,
    Line,       ///< line() is complete
    Interrupt,  ///< Ctrl-C: the line was dropped
  };

  LineEditor(kernel::TextOutput& output, const NameList& names, std::string_view prompt)
      : output_(output), names_(names), prompt_(prompt) {}

  /// Starts an empty line with a prompt.
  void start();
  /// Takes one byte from the terminal. After Line or Interrupt call start() before the next. A byte that cannot be used
  /// (line full, malformed UTF-8, unknown key) rings the bell and changes nothing.
  Event feed(std::byte byte);
  /// The present line, valid UTF-8 without control characters; until the next feed() or start().
  [[nodiscard]] std::string_view line() const { return {line_.data(), size_}; }
  [[nodiscard]] std::size_t cursor() const { return cursor_; }
  [[nodiscard]] const History& history() const { return history_; }

 private:
  enum class Input : std::uint8_t { Plain, Escape, Csi, Ss3 };

  Event control_key(char c);
  Event enter();
  void escape_byte(char c);
  void csi_final(char c);
  void text_byte(char c);
  void insert(std::string_view text);
  void erase(std::size_t from, std::size_t to);
  void move_to(std::size_t position);
  void replace_line(std::string_view text);
  void browse(bool older);
  void complete();
  void list_matches(std::string_view prefix);
  void redraw();
  void bell() { output_.write("\a"); }
  void back(std::size_t columns);
  [[nodiscard]] std::size_t previous(std::size_t position) const;
  [[nodiscard]] std::size_t next(std::size_t position) const;
  [[nodiscard]] std::size_t columns(std::size_t from, std::size_t to) const;
  [[nodiscard]] std::size_t word_start() const;

  kernel::TextOutput& output_;
  const NameList& names_;
  std::string_view prompt_;
  std::array<char, kMaxLineBytes> line_{};
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;  ///< byte offset, at the start of a character
  Input input_ = Input::Plain;
  std::uint32_t csi_parameter_ = 0;
  std::array<char, 4> sequence_{};  ///< UTF-8 sequence that is not complete yet
  std::size_t sequence_size_ = 0;
  bool after_return_ = false;  ///< the last byte was CR: an LF right after it belongs to it
  History history_;
  std::optional<std::size_t> browsed_;  ///< line of the history that is shown
};

}  // namespace guest::shell
