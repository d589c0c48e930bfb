#include "vmm/observe/text_order.hpp"

#include <algorithm>
#include <iterator>

namespace vmm::observe {

void TextOrder::feed(std::string_view bytes) {
  if (found_ == texts_.size()) return;
  std::ranges::copy_if(bytes, std::back_inserter(window_), [](char c) { return c != '\r'; });
  std::size_t at = 0;
  for (; found_ < texts_.size(); ++found_) {
    const std::size_t place = window_.find(texts_[found_], at);
    if (place == std::string::npos) break;
    at = place + texts_[found_].size();
  }
  // All but the last byte of the next text may be there.
  const std::size_t kept = found_ == texts_.size() || texts_[found_].empty() ? 0 : texts_[found_].size() - 1;
  if (window_.size() - at > kept) at = window_.size() - kept;
  window_.erase(0, at);
}

}  // namespace vmm::observe
