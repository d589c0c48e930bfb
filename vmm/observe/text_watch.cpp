#include "vmm/observe/text_watch.hpp"

#include <algorithm>

namespace vmm::observe {

TextWatch::TextWatch(std::vector<std::string> texts) : texts_(std::move(texts)), seen_(texts_.size()) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    longest_ = std::max(longest_, texts_[i].size());
    seen_[i] = texts_[i].empty();
  }
}

void TextWatch::feed(std::string_view bytes) {
  if (longest_ == 0) return;
  std::ranges::copy_if(bytes, std::back_inserter(window_), [](char c) { return c != '\r'; });
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    if (!seen_[i]) seen_[i] = window_.find(texts_[i]) != std::string::npos;
  }
  if (window_.size() >= longest_) window_.erase(0, window_.size() - (longest_ - 1));
}

}  // namespace vmm::observe
