// What is wrong with a scenario, and where.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::scenario {

/// A place in the file. Both count from 1; columns count bytes. Line 0: no place (a value of the command line).
struct Position {
  std::size_t line = 0;
  std::size_t column = 0;
  auto operator<=>(const Position&) const = default;
};

/// Everything that is wrong with one file. Bounded: a file of a million mistakes gives a message that one can read.
class Problems {
 public:
  static constexpr std::size_t kMaxReported = 50;

  /// `key` is the dotted path ("machine.cpus", "steps[0].op"), empty for the file itself.
  void add(Position at, std::string_view key, std::string_view found, std::string_view allowed);

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t count() const { return count_; }

  /// One line for each problem, in the order of the file, without a newline at the end:
  /// "hello.yaml:7:3: machine.cpus: found 99, allowed: an integer from 1 to 8".
  [[nodiscard]] std::string to_text(std::string_view file_name) const;

 private:
  struct Problem {
    Position at;
    std::size_t number;  ///< in the order in which they were found
    std::string text;
  };

  std::vector<Problem> problems_;
  std::size_t count_ = 0;
};

/// `text` in double quotes, escaped for one line of a terminal, and shortened where it is long; then its length is
/// said.
std::string quote(std::string_view text);

/// The one of `names` that a person most likely meant by `word`; empty if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace vmm::scenario
