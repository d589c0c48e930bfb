// Words that end an answer. They are looked for in the text, since a word can be cut into tokens in many ways, and need
// not begin or end with one.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::llm {

/// The text of one answer on its way to who reads it. What could be the beginning of a stop word waits here until it is
/// clear that it is not.
class StopWords {
 public:
  static constexpr std::size_t kMaxWords = 8;
  static constexpr std::size_t kMaxWordBytes = 64;

  /// Any bytes; copied. Before the first text. Errors: llm-bad-stop-word: empty, too long, or one too many.
  kernel::Outcome add(std::string_view word);
  /// Text that comes next; passes to `out` what can be shown. True: a word was found. Neither it nor what follows it
  /// is passed on then, nor is any text after that. Of words that end at the same byte the longest one counts.
  bool pass(std::string_view text, kernel::TextOutput& out);
  /// There is no more: passes on what waits.
  void finish(kernel::TextOutput& out);
  [[nodiscard]] bool found() const { return found_; }

 private:
  struct Word {
    std::array<char, kMaxWordBytes> bytes;
    std::size_t size;
    [[nodiscard]] std::string_view view() const { return {bytes.data(), size}; }
  };
  [[nodiscard]] std::string_view held() const { return {held_.data(), held_size_}; }
  void release(std::size_t bytes, kernel::TextOutput& out);

  kernel::BoundedArray<Word, kMaxWords> words_;
  std::array<char, kMaxWordBytes> held_{};  ///< is the beginning of a word, but not all of one
  std::size_t held_size_ = 0;
  bool found_ = false;
};

}  // namespace guest::llm
