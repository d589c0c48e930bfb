// Blocks of the heap that one thread allocates and another one frees, often on another CPU.
#include <algorithm>
#include <span>
#include <utility>

#include "guest/kernel/heap.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "shared.hpp"

namespace guest::stress {
namespace {

/// The first two words of a block; all others are `mark`.
struct Block {
  std::uint64_t words;
  std::uint64_t mark;
};

struct Box {
  static constexpr std::uint32_t kPlaces = 32;
  threads::Mutex mutex;
  Block* blocks[kPlaces] = {};
};
constexpr std::uint32_t kBoxes = 8;
constinit Box boxes[kBoxes] = {};

std::span<std::uint64_t> contents(Block& block) {
  // As long as it was made, in words.
  return std::span(reinterpret_cast<std::uint64_t*>(&block), block.words).subspan(2);
}

Block* make_block(Random& random) {
  // One in 16 is larger than what slabs are for.
  const std::uint64_t words = random.one_in(16) ? random.between(2'000, 5'000) : random.between(2, 200);
  auto* const block = static_cast<Block*>(kernel::kernel_heap().allocate(words * sizeof(std::uint64_t)));
  if (block == nullptr) {
    fail("no memory for {} words", words);
  }
  count(figures.allocations);
  *block = {.words = words, .mark = random.next()};
  std::ranges::fill(contents(*block), block->mark);
  return block;
}

void discard(Block* block) {
  if (block == nullptr) {
    return;
  }
  const std::uint64_t mark = block->mark;
  if (!std::ranges::all_of(contents(*block), [mark](std::uint64_t word) { return word == mark; })) {
    fail("a block of {} words has changed", block->words);
  }
  kernel::kernel_heap().free(block);
  count(figures.frees);
}

Block* exchange_block(Box& box, std::uint32_t place, Block* block) {
  const threads::MutexGuard guard(box.mutex);
  return std::exchange(box.blocks[place], block);
}

}  // namespace

void pass_block_on(Slot& slot) {
  const std::uint32_t number = slot.random.index(kBoxes);
  const std::uint32_t place = slot.random.index(Box::kPlaces);
  slot.begin("box", number);
  Block* const block = slot.random.one_in(2) ? make_block(slot.random) : nullptr;
  discard(exchange_block(boxes[number], place, block));
}

void settle_blocks() {
  for (Box& box : boxes) {
    for (std::uint32_t place = 0; place < Box::kPlaces; ++place) {
      discard(exchange_block(box, place, nullptr));
    }
  }
  if (figures.allocations.load() != figures.frees.load()) {
    fail("heap: {} blocks allocated, {} freed", figures.allocations.load(), figures.frees.load());
  }
}

}  // namespace guest::stress
