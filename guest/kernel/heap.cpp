// A slab is 16 KiB, aligned to 16 KiB; the address of a block with the low bits cleared is its slab:
//
//   [ Slab header | gap for alignment | block 0 | block 1 | ... ]
//
// No block lies at offset 0, and large blocks (pages, at least 16 KiB) always do; so an address tells which it is.
#include "guest/kernel/heap.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {

/// Steps of at most a half (smaller for small blocks); chosen so that little of a slab is left over.
constexpr std::array<std::uint32_t, Heap::kClasses> kClassBytes = {
    16, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 2688, 3232, 4096, 5376, 8096};
constexpr std::size_t kLargestClass = kClassBytes.back();
constexpr std::size_t kGranule = 16;  ///< sizes are looked up in steps of this
constexpr unsigned kSlabOrder = 2;
static_assert((kPageBytes << kSlabOrder) == Heap::kSlabBytes);
constexpr std::size_t kBitmapWords = Heap::kSlabBytes / kGranule / 64;

// Both are mixed with the address of what they mark. One instruction each: only 16 bits are set.
constexpr std::uint64_t kSlabCheck = 0x51AB'0000'0000'0000;
/// In the first 16 bytes of a free block.
constexpr std::uint64_t kFreeMark = 0xF7EE'0000'0000'0000;

/// Class of a request of (index * 16) bytes.
constexpr auto kClassOf = [] {
  std::array<std::uint8_t, kLargestClass / kGranule + 1> table{};
  std::uint8_t cls = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    while (kClassBytes[cls] < i * kGranule) {
      ++cls;
    }
    table[i] = cls;
  }
  return table;
}();

/// Every block of a class is aligned to this.
constexpr std::uint32_t natural_alignment(std::size_t index) {
  return std::uint32_t{1} << std::countr_zero(kClassBytes[index]);
}

}  // namespace

struct Heap::Slab {
  std::uint64_t check;
  Slab* next;
  Slab* previous;
  std::uint32_t block_bytes;
  std::uint32_t first_offset;  ///< of block 0
  std::uint16_t class_index;
  std::uint16_t blocks;
  std::uint16_t free_blocks;
  std::uint16_t touched;    ///< blocks from this index on have never been used
  std::uint16_t free_word;  ///< no word of the bitmap before this one has a bit set
  std::uint64_t free_bits[kBitmapWords];

  [[nodiscard]] std::uint64_t expected_check() const { return kSlabCheck ^ reinterpret_cast<std::uintptr_t>(this); }
  /// kBitmapWords: none, which a slab among the partial ones never says.
  [[nodiscard]] std::uint32_t first_free_word() const {
    return free_word < kBitmapWords && free_bits[free_word] != 0 ? free_word : search_free_word();
  }
  // Out of line: the compiler unrolls the loop, and nearly always the first word has a bit.
  [[nodiscard, gnu::noinline]] std::uint32_t search_free_word() const {
    std::uint32_t word = free_word;
    while (word < kBitmapWords && free_bits[word] == 0) {
      ++word;
    }
    return word;
  }
  [[nodiscard]] bool is_free(std::uint32_t index) const { return (free_bits[index / 64] >> (index % 64) & 1) != 0; }
  [[nodiscard]] std::uint64_t* block(std::uint32_t index) {
    // The slab's memory is raw; blocks are at least 16-byte aligned.
    const std::uintptr_t address =
        reinterpret_cast<std::uintptr_t>(this) + first_offset + std::uintptr_t{index} * block_bytes;
    return reinterpret_cast<std::uint64_t*>(address);  // NOLINT(performance-no-int-to-ptr)
  }
};

namespace {
constexpr std::uint32_t first_offset_of(std::size_t index, std::size_t header_bytes) {
  const std::size_t alignment = natural_alignment(index);
  return static_cast<std::uint32_t>((header_bytes + alignment - 1) / alignment * alignment);
}
constexpr std::uint32_t blocks_of(std::size_t index, std::size_t header_bytes) {
  return static_cast<std::uint32_t>((Heap::kSlabBytes - first_offset_of(index, header_bytes)) / kClassBytes[index]);
}
std::uint64_t mark_of(const std::uint64_t* block) {
  return kFreeMark ^ reinterpret_cast<std::uintptr_t>(block);  // the address as a number
}
}  // namespace

void Heap::link(Class& cls, Slab& slab) {
  slab.previous = nullptr;
  slab.next = cls.partial;
  if (slab.next != nullptr) {
    slab.next->previous = &slab;
  }
  cls.partial = &slab;
}

void Heap::unlink(Class& cls, Slab& slab) {
  if ((slab.next != nullptr && slab.next->previous != &slab) ||
      (slab.previous == nullptr ? cls.partial != &slab : slab.previous->next != &slab)) {
    panic_at(here(), "heap: links of the slab at {} were overwritten", static_cast<const void*>(&slab));
  }
  (slab.previous == nullptr ? cls.partial : slab.previous->next) = slab.next;
  if (slab.next != nullptr) {
    slab.next->previous = slab.previous;
  }
}

Heap::Slab* Heap::new_slab(std::size_t index) {
  const auto pages = pages_.allocate(kSlabOrder);
  if (!pages) {
    return nullptr;
  }
  Slab& slab = *pages_.map().pointer<Slab>(*pages);
  const std::uint32_t blocks = blocks_of(index, sizeof(Slab));
  slab.check = slab.expected_check();
  slab.block_bytes = kClassBytes[index];
  slab.first_offset = first_offset_of(index, sizeof(Slab));
  slab.class_index = static_cast<std::uint16_t>(index);
  slab.blocks = static_cast<std::uint16_t>(blocks);
  slab.free_blocks = static_cast<std::uint16_t>(blocks);
  slab.touched = 0;
  slab.free_word = 0;
  for (std::uint32_t word = 0; word < kBitmapWords; ++word) {
    const std::uint32_t left = blocks > word * 64 ? blocks - word * 64 : 0;
    slab.free_bits[word] = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
  }
  Class& cls = classes_[index];
  link(cls, slab);
  ++cls.slabs;
  ++cls.empty_slabs;
  return &slab;
}

void Heap::release_slab(Class& cls, Slab& slab) {
  unlink(cls, slab);
  slab.check = 0;
  --cls.slabs;
  --cls.empty_slabs;
  pages_.free(pages_.map().address(&slab));
}

inline void Heap::account_allocation(std::uint64_t bytes) {
  live_bytes_ += bytes;
  peak_live_bytes_ = std::max(peak_live_bytes_, live_bytes_);
}

inline void Heap::check_mark(const std::uint64_t* block, std::size_t index) {
  if (((block[0] ^ mark_of(block)) | (block[1] ^ mark_of(block))) != 0) [[unlikely]] {
    panic_at(here(), "heap: the free block at {} ({} bytes) was written to after it was freed",
             static_cast<const void*>(block), kClassBytes[index]);
  }
}

inline void* Heap::allocate_small(std::size_t index) {
  Class& cls = classes_[index];
  std::uint64_t* block = cls.spare;
  if (block != nullptr) [[likely]] {
    cls.spare = nullptr;
    check_mark(block, index);
  } else {
    block = take_from_slab(index);
    if (block == nullptr) {
      return nullptr;
    }
  }
  ++cls.allocations;
  account_allocation(kClassBytes[index]);
  return block;
}

/// The lowest free block of a slab. Null: no memory, counted as failure. Out of line, as return_to_slab(), so that the
/// way without them saves no registers for them.
[[gnu::noinline]] std::uint64_t* Heap::take_from_slab(std::size_t index) {
  Class& cls = classes_[index];
  Slab* slab = cls.partial;
  if (slab == nullptr) {
    slab = new_slab(index);
    if (slab == nullptr) {
      ++failures_;
      return nullptr;
    }
  }
  const std::uint32_t word = slab->first_free_word();
  if (slab->check != slab->expected_check() || word >= kBitmapWords) [[unlikely]] {
    panic_at(here(), "heap: the header of the slab at {} ({} bytes a block) was overwritten",
             static_cast<const void*>(slab), kClassBytes[index]);
  }
  const std::uint64_t bits = slab->free_bits[word];
  slab->free_word = static_cast<std::uint16_t>(word);
  slab->free_bits[word] = bits & (bits - 1);
  const std::uint32_t number = word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
  std::uint64_t* const block = slab->block(number);
  if (number >= slab->touched) {
    // The lowest free block is taken, so all before it have been used.
    slab->touched = static_cast<std::uint16_t>(number + 1);
  } else {
    check_mark(block, index);
  }
  if (slab->free_blocks == slab->blocks) {
    --cls.empty_slabs;
  }
  if (--slab->free_blocks == 0) {
    unlink(cls, *slab);
  }
  return block;
}

void* Heap::allocate_large(std::size_t bytes, std::size_t alignment) {
  const std::uint64_t wanted = bytes / kPageBytes + (bytes % kPageBytes != 0 ? 1 : 0);
  const std::uint64_t pages = std::max<std::uint64_t>(wanted, kSlabBytes / kPageBytes);
  // allocate_pages() aligns to the next power of two of the count; a stricter wish takes a whole aligned block.
  const bool aligned = pages >= alignment / kPageBytes;
  const auto address = aligned ? pages_.allocate_pages(pages)
                               : pages_.allocate(static_cast<unsigned>(std::countr_zero(alignment / kPageBytes)));
  if (!address) {
    ++failures_;
    return nullptr;
  }
  const std::uint64_t got_bytes = (aligned ? pages : alignment / kPageBytes) * kPageBytes;
  ++large_blocks_;
  ++large_allocations_;
  large_bytes_ += got_bytes;
  account_allocation(got_bytes);
  return pages_.map().pointer(*address);
}

namespace {
/// The class that serves the request; Heap::kClasses: none does.
inline std::size_t class_of(std::size_t bytes, std::size_t alignment) {
  if (bytes > kLargestClass) {
    return Heap::kClasses;
  }
  std::size_t index = kClassOf[(bytes + kGranule - 1) / kGranule];
  if (alignment > Heap::kMinAlignment) {
    while (index < Heap::kClasses && natural_alignment(index) < alignment) {
      ++index;
    }
  }
  return index;
}
}  // namespace

void* Heap::allocate(std::size_t bytes, std::size_t alignment) {
  if (alignment > kMinAlignment) {
    // Not std::has_single_bit(): without the vector unit a population count is a call.
    require((alignment & (alignment - 1)) == 0 && alignment <= kMaxAlignment, "heap: impossible alignment");
  }
  const SpinGuard guard(lock_);
  const std::size_t index = class_of(bytes, alignment);
  return index < kClasses ? allocate_small(index) : allocate_large(bytes, alignment);
}

inline Heap::Slab& Heap::slab_of(const void* block) const {
  // Only followed once it is known to lie in memory of ours.
  const auto address = reinterpret_cast<std::uintptr_t>(block) & ~(kSlabBytes - 1);
  auto* const slab = reinterpret_cast<Slab*>(address);  // NOLINT(performance-no-int-to-ptr)
  if (!pages_.owns(pages_.map().address(block)) || slab->check != slab->expected_check()) [[unlikely]] {
    panic_at(here(), "heap: {} is not the address of a block", block);
  }
  return *slab;
}

void Heap::free(void* block) {
  if (block == nullptr) {
    return;
  }
  const SpinGuard guard(lock_);
  const auto offset = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(block) & (kSlabBytes - 1));
  if (offset == 0) {
    free_large(block);
    return;
  }
  Slab& slab = slab_of(block);
  const std::uint32_t number = (offset - slab.first_offset) / slab.block_bytes;
  if (number >= slab.blocks || slab.first_offset + number * slab.block_bytes != offset) [[unlikely]] {
    panic_at(here(), "heap: free of {}, which is inside of a block of {} bytes", block, slab.block_bytes);
  }
  Class& cls = classes_[slab.class_index];
  std::uint64_t* const before = cls.spare;
  if (slab.is_free(number) || block == before) [[unlikely]] {
    panic_at(here(), "heap: free of the block at {} ({} bytes), which is free already", block, slab.block_bytes);
  }
  ++cls.frees;
  live_bytes_ -= slab.block_bytes;
  auto* const words = static_cast<std::uint64_t*>(block);
  words[0] = mark_of(words);
  words[1] = mark_of(words);
  cls.spare = words;
  if (before != nullptr) {
    return_to_slab(cls, before);
  }
}

/// `block` is one that was checked when it was freed.
[[gnu::noinline]] void Heap::return_to_slab(Class& cls, std::uint64_t* block) {
  Slab& slab = slab_of(block);
  const auto offset = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(block) & (kSlabBytes - 1));
  const std::uint32_t number = (offset - slab.first_offset) / slab.block_bytes;
  slab.free_bits[number / 64] |= std::uint64_t{1} << (number % 64);
  slab.free_word = std::min(slab.free_word, static_cast<std::uint16_t>(number / 64));
  if (slab.free_blocks++ == 0) {
    link(cls, slab);
  }
  if (slab.free_blocks == slab.blocks && ++cls.empty_slabs > 1) {
    // One empty slab a class is kept, so that blocks allocated and freed in turn do not make and break slabs.
    release_slab(cls, slab);
  }
}

void Heap::free_large(void* block) {
  const PhysAddr address = pages_.map().address(block);
  const bool ours = pages_.allocated_pages(address) * kPageBytes >= kSlabBytes && large_blocks_ > 0;
  if (!ours || static_cast<const Slab*>(block)->check == static_cast<const Slab*>(block)->expected_check()) {
    panic_at(here(), "heap: free of {}, which is no block or is free already", static_cast<const void*>(block));
  }
  const std::uint64_t bytes = pages_.free(address) * kPageBytes;
  --large_blocks_;
  large_bytes_ -= bytes;
  live_bytes_ -= bytes;
}

std::size_t Heap::usable_bytes(const void* block) const {
  if ((reinterpret_cast<std::uintptr_t>(block) & (kSlabBytes - 1)) == 0) {
    return pages_.allocated_pages(pages_.map().address(block)) * kPageBytes;
  }
  return slab_of(block).block_bytes;
}

void Heap::trim() {
  const SpinGuard guard(lock_);
  for (Class& cls : classes_) {
    if (cls.spare != nullptr) {
      return_to_slab(cls, std::exchange(cls.spare, nullptr));
    }
    for (Slab* slab = cls.partial; slab != nullptr;) {
      Slab* const next = slab->next;
      if (slab->free_blocks == slab->blocks) {
        release_slab(cls, *slab);
      }
      slab = next;
    }
  }
}

HeapStatistics Heap::statistics() const {
  const SpinGuard guard(lock_);
  HeapStatistics total{.live_blocks = large_blocks_,
                       .live_bytes = live_bytes_,
                       .peak_live_bytes = peak_live_bytes_,
                       .allocations = large_allocations_,
                       .frees = 0,
                       .failures = failures_,
                       .slabs = 0,
                       .large_blocks = large_blocks_,
                       .large_bytes = large_bytes_};
  for (const Class& cls : classes_) {
    total.live_blocks += cls.allocations - cls.frees;
    total.allocations += cls.allocations;
    total.slabs += cls.slabs;
  }
  total.frees = total.allocations - total.live_blocks;
  return total;
}

HeapClassStatistics Heap::class_statistics(std::size_t index) const {
  require(index < kClasses, "heap: no such size class");
  const SpinGuard guard(lock_);
  const Class& cls = classes_[index];
  return {.block_bytes = kClassBytes[index],
          .blocks_per_slab = blocks_of(index, sizeof(Slab)),
          .live_blocks = cls.allocations - cls.frees,
          .allocations = cls.allocations,
          .slabs = cls.slabs};
}

}  // namespace guest::kernel
