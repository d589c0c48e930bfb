// Looks for texts in a stream that comes in pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::observe {

/// Remembers which of the given texts have occurred. Carriage returns in the stream are left out, so a text may span
/// lines with "\n". Memory is bounded by the longest text.
class TextWatch {
 public:
  explicit TextWatch(std::vector<std::string> texts);

  void feed(std::string_view bytes);

  /// Whether text number `index` has occurred. An empty text has.
  [[nodiscard]] bool seen(std::size_t index) const { return seen_[index]; }

 private:
  std::vector<std::string> texts_;
  std::vector<bool> seen_;
  std::size_t longest_ = 0;
  std::string window_;  ///< the end of what has come, then the new piece
};

}  // namespace vmm::observe
