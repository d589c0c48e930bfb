#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/shell/line_editor.hpp"

namespace guest::shell {

void History::add(std::string_view line) {
  kernel::require(line.size() <= kMaxLineBytes, "a line of the history is too long");
  if (line.empty() || (count_ > 0 && this->line(count_ - 1) == line)) {
    return;
  }
  if (count_ == kHistoryLines) {
    first_ = (first_ + 1) % kHistoryLines;
    --count_;
  }
  Entry& entry = entries_[(first_ + count_) % kHistoryLines];
  std::copy(line.begin(), line.end(), entry.text.begin());
  entry.size = line.size();
  ++count_;
}

std::string_view History::line(std::size_t index) const {
  kernel::require(index < count_, "no such line in the history");
  const Entry& entry = entries_[(first_ + index) % kHistoryLines];
  return {entry.text.data(), entry.size};
}

}  // namespace guest::shell
