#include "merger.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"

namespace guest::llm {

std::expected<Merger, kernel::NamedError> Merger::make(std::size_t capacity) {
  kernel::require(capacity > 0 && capacity < UINT32_MAX / 2, "more symbols than can be merged");
  Merger merger;
  merger.symbols_.reset(new (std::nothrow) Symbol[capacity]);
  merger.queue_.reset(new (std::nothrow) Pair[2 * capacity]);
  if (merger.symbols_ == nullptr || merger.queue_ == nullptr) {
    return kernel::fail("tokenizer-no-memory", "no memory for a text of {} characters", capacity);
  }
  merger.capacity_ = static_cast<std::uint32_t>(capacity);
  return merger;
}

void Merger::add(std::uint32_t begin, std::uint32_t bytes, Token token) {
  kernel::require(count_ < capacity_, "more symbols than were announced");
  // Whoever is last has no one to the right: its `next` is the count, which is no symbol.
  symbols_[count_] = {.begin = begin, .bytes = bytes, .token = token, .previous = count_ - 1, .next = count_ + 1};
  ++count_;
}

void Merger::offer(const MergeRule& rule, std::uint32_t left) {
  const std::uint32_t right = symbols_[left].next;
  if (right >= count_) {
    return;
  }
  const auto merged = rule.merge(symbols_[left], symbols_[right]);
  if (!merged) {
    return;
  }
  kernel::require(queued_ < 2 * capacity_, "more pairs than symbols can have");
  queue_[queued_++] = {.rank = merged->rank,
                       .left = left,
                       .right = right,
                       .bytes = symbols_[left].bytes + symbols_[right].bytes,
                       .token = merged->token};
  std::push_heap(queue_.get(), queue_.get() + queued_, is_behind);
}

void Merger::run(const MergeRule& rule) {
  queued_ = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    offer(rule, i);
  }
  while (queued_ > 0) {
    std::pop_heap(queue_.get(), queue_.get() + queued_, is_behind);
    const Pair best = queue_[--queued_];
    Symbol& left = symbols_[best.left];
    Symbol& right = symbols_[best.right];
    // A symbol that has grown has more bytes, one that is gone has none; either changes the sum.
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != best.bytes) {
      continue;
    }
    left.bytes = best.bytes;
    left.token = best.token;
    left.next = right.next;
    right.bytes = 0;
    if (left.next < count_) {
      symbols_[left.next].previous = best.left;
    }
    if (best.left > 0) {
      offer(rule, left.previous);
    }
    offer(rule, best.left);
  }
}

}  // namespace guest::llm
