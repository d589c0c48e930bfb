#include "guest/llm/sampler/stop_words.hpp"

#include <algorithm>

namespace guest::llm {

kernel::Outcome StopWords::add(std::string_view word) {
  if (word.empty() || word.size() > kMaxWordBytes) {
    return kernel::fail("llm-bad-stop-word", "a stop word of {} bytes, expected 1 to {}", word.size(), kMaxWordBytes);
  }
  Word copy{.bytes = {}, .size = word.size()};
  std::ranges::copy(word, copy.bytes.begin());
  if (!words_.push_back(copy)) {
    return kernel::fail("llm-bad-stop-word", "more than {} stop words", kMaxWords);
  }
  return {};
}

void StopWords::release(std::size_t bytes, kernel::TextOutput& out) {
  if (bytes == 0) {
    return;
  }
  out.write(held().substr(0, bytes));
  std::copy(held_.begin() + bytes, held_.begin() + held_size_, held_.begin());
  held_size_ -= bytes;
}

bool StopWords::pass(std::string_view text, kernel::TextOutput& out) {
  for (const char c : text) {
    if (found_) {
      break;
    }
    // What is held is less than a word, so there is room.
    held_[held_size_++] = c;
    std::size_t waiting = 0;  // the longest end of it that begins a word
    std::size_t stop = 0;     // the longest word that it ends with
    for (const Word& word : words_) {
      stop = held().ends_with(word.view()) ? std::max(stop, word.size) : stop;
      std::size_t size = std::min(word.size - 1, held_size_);
      while (size > waiting && !held().ends_with(word.view().substr(0, size))) {
        --size;
      }
      waiting = std::max(waiting, size);
    }
    if (stop != 0) {
      release(held_size_ - stop, out);
      held_size_ = 0;
      found_ = true;
    } else {
      release(held_size_ - waiting, out);
    }
  }
  return found_;
}

void StopWords::finish(kernel::TextOutput& out) { release(held_size_, out); }

}  // namespace guest::llm
