// The heap: size classes in slabs of 16 KiB, larger blocks straight from pages.
//
// A slab keeps a bitmap of its free blocks in its header, not links in the blocks, so a write after free cannot lead
// the allocator astray and a double free is seen exactly. A free block carries a mark that is checked when it is handed
// out again: a write after free to its first 16 bytes is a panic. These checks are on in every build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/page_allocator.hpp"

namespace guest::kernel {

/// Sizes in bytes are those handed out (a request rounded up to its class or to pages).
struct HeapStatistics {
  std::uint64_t live_blocks;
  std::uint64_t live_bytes;
  std::uint64_t peak_live_bytes;
  std::uint64_t allocations;  ///< since boot
  std::uint64_t frees;
  std::uint64_t failures;      ///< requests that were refused
  std::uint64_t slabs;         ///< of Heap::kSlabBytes each, empty ones that are kept included
  std::uint64_t large_blocks;  ///< live blocks straight from pages
  std::uint64_t large_bytes;
  friend bool operator==(const HeapStatistics&, const HeapStatistics&) = default;
};

struct HeapClassStatistics {
  std::uint32_t block_bytes;
  std::uint32_t blocks_per_slab;
  std::uint64_t live_blocks;
  std::uint64_t allocations;  ///< since boot
  std::uint64_t slabs;
};

/// From any CPU, one at a time (a spin lock); not from interrupt handlers. Contract violations panic with the address
/// and, for a block of a slab, its class.
class Heap {
 public:
  static constexpr std::size_t kSlabBytes = std::size_t{16} * 1024;
  static constexpr std::size_t kMinAlignment = 16;
  static constexpr std::size_t kMaxAlignment = std::size_t{1024} * 1024;
  static constexpr std::size_t kClasses = 20;

  explicit constexpr Heap(PageAllocator& pages) : pages_(pages) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// `bytes` (0 counts as 1) aligned to `alignment`, a power of two up to kMaxAlignment. Null: no memory, counted as
  /// failure. Contents undefined.
  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment = kMinAlignment);
  /// Gives back what allocate() returned; null is nothing.
  void free(void* block);
  /// Bytes that may be used of a live block.
  [[nodiscard]] std::size_t usable_bytes(const void* block) const;
  /// Returns empty slabs to the page allocator.
  void trim();

  [[nodiscard]] HeapStatistics statistics() const;
  [[nodiscard]] HeapClassStatistics class_statistics(std::size_t index) const;

 private:
  struct Slab;
  /// In a cache line of its own.
  struct alignas(kCacheLineBytes) Class {
    /// The block that was freed last, to be handed out next; null: none. Its slab counts it as used. Most blocks are
    /// allocated where one of their size was freed just before: they pass the slab's books by.
    std::uint64_t* spare = nullptr;
    std::uint64_t allocations = 0;
    std::uint64_t frees = 0;
    Slab* partial = nullptr;  ///< slabs with a free block; an empty one that is kept is among them
    std::uint64_t slabs = 0;
    std::uint64_t empty_slabs = 0;
  };
  void* allocate_small(std::size_t index);
  std::uint64_t* take_from_slab(std::size_t index);
  void return_to_slab(Class& cls, std::uint64_t* block);
  void* allocate_large(std::size_t bytes, std::size_t alignment);
  void free_large(void* block);
  Slab* new_slab(std::size_t index);
  void release_slab(Class& cls, Slab& slab);
  static void link(Class& cls, Slab& slab);
  static void unlink(Class& cls, Slab& slab);
  [[nodiscard]] Slab& slab_of(const void* block) const;
  static void check_mark(const std::uint64_t* block, std::size_t index);
  void account_allocation(std::uint64_t bytes);

  mutable SpinLock lock_{"heap", LockRank::Heap};  ///< of everything below but the reference
  PageAllocator& pages_;
  Class classes_[kClasses] = {};
  std::uint64_t live_bytes_ = 0;
  std::uint64_t peak_live_bytes_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t large_allocations_ = 0;
  std::uint64_t large_blocks_ = 0;
  std::uint64_t large_bytes_ = 0;
};

/// What heap_self_test() found.
struct HeapSelfTest {
  bool passed;
  std::string_view failure;  ///< static storage; empty when passed
  std::uint64_t blocks;      ///< allocated and freed
  HeapStatistics before;
  HeapStatistics after;
};

/// Allocates blocks of every class, large ones and aligned ones, fills them with patterns, checks that none overlaps
/// another and that every figure of the statistics moves as it must and returns to where it was. `rounds` repeats it;
/// one round is meant for boot (some ten thousand instructions).
HeapSelfTest heap_self_test(Heap& heap, unsigned rounds = 1);

/// The kernel's heap and pages; what operator new uses in the guest. Set once at boot; use before that panics.
Heap& kernel_heap();
PageAllocator& kernel_pages();
void set_kernel_memory(PageAllocator& pages, Heap& heap);

}  // namespace guest::kernel
