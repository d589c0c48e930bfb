#include "guest/kernel/log_history.hpp"

#include <algorithm>
#include <iterator>

namespace guest::kernel {

void LogHistory::append(std::string_view text) {
  // An end of another level is none when it comes with the text.
  const auto is_foreign = [](char byte) { return byte != kEnds[0] && is_end(byte); };
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(std::ranges::find_if(text, is_foreign) - text.begin());
    put(text.substr(0, plain));
    text.remove_prefix(plain);
    if (!text.empty()) {
      put("?");
      text.remove_prefix(1);
    }
  }
}

void LogHistory::put(std::string_view text) {
  const std::uint64_t begin = end_.load(std::memory_order_relaxed);  // the writer's own
  const std::uint64_t after = begin + text.size();
  writing_to_.store(after, std::memory_order_relaxed);
  // Who reads one of the bytes below sees the store above, after its own fence (try_read()).
  std::atomic_thread_fence(std::memory_order_release);
  for (std::size_t i = 0; i < text.size(); ++i) {
    ring_[(begin + i) % kBytes].store(text[i], std::memory_order_relaxed);
  }
  end_.store(after, std::memory_order_relaxed);
  if (const std::size_t last = text.find_last_of({kEnds, std::size(kEnds)}); last != std::string_view::npos) {
    lines_end_.store(begin + last + 1, std::memory_order_release);  // pairs with end() and try_read()
  }
}

LogHistory::Attempt LogHistory::try_read(std::uint64_t from, std::span<char> into, Line& line) const {
  const std::uint64_t end = lines_end_.load(std::memory_order_acquire);
  const std::uint64_t kept = oldest();
  std::uint64_t place = std::max(from, kept);
  // Unless the byte before is known to end a line, what begins here is the rest of one.
  if (place > 0) {
    place -= place > kept ? 1 : 0;
    while (place < end && !is_end(at(place))) {
      ++place;
    }
    ++place;
  }
  if (place >= end) {
    return Attempt::None;
  }
  const std::uint64_t begin = place;
  line.begin = begin;
  line.bytes = 0;
  while (place < end && !is_end(at(place))) {
    if (line.bytes < into.size()) {
      into[line.bytes++] = at(place);
    }
    ++place;
  }
  // Of a line that was overwritten meanwhile it may be any byte: it is read again.
  const auto level = static_cast<std::size_t>(std::ranges::find(kEnds, at(place)) - kEnds);
  line.level = static_cast<Verbosity>(level % std::size(kEnds));
  line.next = place + 1;
  std::atomic_thread_fence(std::memory_order_acquire);  // pairs with append(): the bytes are read before this
  return oldest() <= (begin == 0 ? 0 : begin - 1) ? Attempt::Done : Attempt::Overwritten;
}

std::optional<LogHistory::Line> LogHistory::read(std::uint64_t from, std::span<char> into) const {
  Line line{};
  for (;;) {
    switch (try_read(from, into, line)) {
      case Attempt::Done:
        return line;
      case Attempt::None:
        return std::nullopt;
      case Attempt::Overwritten:
        break;  // by more than kBytes of newer text: what is now the oldest is read instead
    }
  }
}

}  // namespace guest::kernel
