// Looks for texts that come one behind the other in a stream that comes in pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::observe {

/// Finds the first text, behind its end the second, and so on; anything may stand between them. Carriage returns in the
/// stream are left out, so a text may span lines with "\n". Memory is bounded by the longest text and one piece.
class TextOrder {
 public:
  explicit TextOrder(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  void feed(std::string_view bytes);

  /// How many of them have been found, from the first on.
  [[nodiscard]] std::size_t found() const { return found_; }

 private:
  std::vector<std::string> texts_;
  std::size_t found_ = 0;
  std::string window_;  ///< what may be the beginning of the next one, then the new piece
};

}  // namespace vmm::observe
