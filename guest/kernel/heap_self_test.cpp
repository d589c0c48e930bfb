// The heap's self-test and the kernel's own instances.
#include <cstring>

#include "guest/kernel/heap.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {

constinit PageAllocator* the_pages = nullptr;
constinit Heap* the_heap = nullptr;

constexpr std::size_t kBlocks = 3 * Heap::kClasses + 4;

/// Live blocks of one round.
class Round {
 public:
  explicit Round(Heap& heap) : heap_(heap) {}

  /// Allocates, checks size and alignment, fills the ends with a pattern of its own.
  std::string_view take(std::size_t bytes, std::size_t alignment) {
    auto* const block = static_cast<std::uint8_t*>(heap_.allocate(bytes, alignment));
    if (block == nullptr) {
      return "an allocation failed";
    }
    const std::size_t usable = heap_.usable_bytes(block);
    blocks_[count_] = {block, usable};
    bytes_ += usable;
    const std::uint8_t pattern = pattern_of(count_++);
    if (reinterpret_cast<std::uintptr_t>(block) % alignment != 0) {
      return "a block is not aligned as asked for";
    }
    if (usable < bytes) {
      return "a block is smaller than asked for";
    }
    mark(block, usable, pattern);
    return {};
  }

  /// Checks every pattern, then frees every other block, then the rest.
  std::string_view give_all() {
    for (std::size_t i = 0; i < count_; ++i) {
      if (!marked(blocks_[i].data, blocks_[i].bytes, pattern_of(i))) {
        return "a block's contents changed: blocks overlap";
      }
    }
    for (std::size_t first = 0; first < 2; ++first) {
      for (std::size_t i = first; i < count_; i += 2) {
        heap_.free(blocks_[i].data);
      }
    }
    return {};
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  /// Usable bytes of all blocks taken.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Block {
    std::uint8_t* data;
    std::size_t bytes;
  };
  static constexpr std::size_t kEdge = 16;  ///< the smallest block is marked whole
  static std::uint8_t pattern_of(std::size_t index) { return static_cast<std::uint8_t>(index * 37 + 11); }
  static void mark(std::uint8_t* data, std::size_t bytes, std::uint8_t pattern) {
    std::memset(data, pattern, kEdge);
    std::memset(data + bytes - kEdge, pattern, kEdge);
  }
  static bool marked(const std::uint8_t* data, std::size_t bytes, std::uint8_t pattern) {
    for (std::size_t i = 0; i < kEdge; ++i) {
      if (data[i] != pattern || data[bytes - 1 - i] != pattern) {
        return false;
      }
    }
    return true;
  }

  Heap& heap_;
  Block blocks_[kBlocks] = {};
  std::size_t count_ = 0;
  std::uint64_t bytes_ = 0;
};

std::string_view run_round(Heap& heap, std::uint64_t& blocks) {
  struct Request {
    std::size_t bytes;
    std::size_t alignment;
  };
  constexpr Request kSpecial[] = {{100, 256}, {1, 4096}, {20'000, 16}, {1, 32'768}};
  Round round(heap);
  std::string_view failure;
  const HeapStatistics before = heap.statistics();
  for (std::size_t cls = 0; cls < Heap::kClasses && failure.empty(); ++cls) {
    const std::size_t bytes = heap.class_statistics(cls).block_bytes;
    for (const std::size_t less : {0U, 1U, 15U}) {
      failure = failure.empty() ? round.take(bytes - less, Heap::kMinAlignment) : failure;
    }
  }
  for (const Request& request : kSpecial) {
    failure = failure.empty() ? round.take(request.bytes, request.alignment) : failure;
  }
  const HeapStatistics taken = heap.statistics();
  if (failure.empty() && (taken.live_blocks != before.live_blocks + round.count() ||
                          taken.live_bytes != before.live_bytes + round.bytes() ||
                          taken.allocations != before.allocations + round.count() || taken.frees != before.frees)) {
    failure = "the statistics missed an allocation";
  }
  // Blocks are given back even after a failure, so that it does not leak.
  const std::string_view at_end = round.give_all();
  blocks += round.count();
  return failure.empty() ? at_end : failure;
}

}  // namespace

HeapSelfTest heap_self_test(Heap& heap, unsigned rounds) {
  HeapSelfTest result{.passed = false, .failure = {}, .blocks = 0, .before = heap.statistics(), .after = {}};
  for (unsigned i = 0; i < rounds && result.failure.empty(); ++i) {
    result.failure = run_round(heap, result.blocks);
  }
  heap.trim();
  result.after = heap.statistics();
  const HeapStatistics& before = result.before;
  const HeapStatistics& after = result.after;
  if (result.failure.empty() &&
      (after.live_blocks != before.live_blocks || after.live_bytes != before.live_bytes ||
       after.large_blocks != before.large_blocks || after.large_bytes != before.large_bytes ||
       after.allocations != before.allocations + result.blocks || after.frees != before.frees + result.blocks ||
       after.failures != before.failures || after.slabs > before.slabs)) {
    result.failure = "the statistics did not return to where they were";
  }
  result.passed = result.failure.empty();
  return result;
}

Heap& kernel_heap() {
  require(the_heap != nullptr, "the heap was used before it was set up");
  return *the_heap;
}

PageAllocator& kernel_pages() {
  require(the_pages != nullptr, "pages were used before they were set up");
  return *the_pages;
}

void set_kernel_memory(PageAllocator& pages, Heap& heap) {
  the_pages = &pages;
  the_heap = &heap;
}

}  // namespace guest::kernel
