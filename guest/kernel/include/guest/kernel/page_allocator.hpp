// Pages: a buddy allocator over the direct map whose set-up does not depend on how much RAM there is.
//
//   region   [ metadata, 1 byte a page | blocks that have been in use | never touched ............ ]
//                                                                     ^ frontier
//
// Nothing is written for pages above the frontier. When no free block is large enough the frontier moves up by a chunk
// (4 MiB): its metadata is initialised and it becomes a free block, merged with its neighbours. Blocks are naturally
// aligned powers of two of pages; links of free blocks lie in the blocks and are checked when they are followed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/physical_memory.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/status.hpp"

namespace guest::kernel {

struct PageStatistics {
  std::uint64_t total_pages;         ///< under management, without the allocator's own metadata
  std::uint64_t free_pages;          ///< never touched ones included
  std::uint64_t used_pages;          ///< total - free
  std::uint64_t peak_used_pages;     ///< largest used_pages since boot
  std::uint64_t metadata_pages;      ///< the allocator's own
  std::uint64_t largest_free_pages;  ///< a lower bound of the largest request that would succeed, a power of two
  std::uint64_t allocations;         ///< since boot
  std::uint64_t frees;
  std::uint64_t failures;  ///< requests that were refused
};

/// From any CPU, one at a time (a spin lock); not from interrupt handlers. Contract violations (double free, foreign or
/// misaligned address, damaged links) panic with the address.
class PageAllocator {
 public:
  static constexpr unsigned kMaxOrder = 18;  ///< 1 GiB
  static constexpr std::size_t kMaxRegions = 32;

  explicit constexpr PageAllocator(DirectMap map) : map_(map) {}
  PageAllocator(const PageAllocator&) = delete;
  PageAllocator& operator=(const PageAllocator&) = delete;

  /// Takes over `memory` without what `reserved` overlaps (kernel image, tree, initrd ...). Partial pages and pieces
  /// too small to be of use are left out. Once; every byte of `memory` is reachable through the direct map.
  /// NoMemory: nothing usable, or more pieces than kMaxRegions.
  Status add_memory(std::span<const PhysRange> memory, std::span<const PhysRange> reserved);

  /// 2^order pages, aligned to their size; contents undefined.
  [[nodiscard]] Result<PhysAddr> allocate(unsigned order);
  /// `pages` neighbouring pages (at least 1), aligned to the next power of two; contents undefined. Rounded up to
  /// pages only, so 5 pages take 5.
  [[nodiscard]] Result<PhysAddr> allocate_pages(std::uint64_t pages);
  /// Gives back what one allocate() or allocate_pages() returned. Returns how many pages that was.
  std::uint64_t free(PhysAddr address);
  /// Pages of the allocation that starts at `address`; 0: none does.
  [[nodiscard]] std::uint64_t allocated_pages(PhysAddr address) const;
  /// True: `address` lies in memory under management. Takes no lock: regions are added once, at boot.
  [[nodiscard]] bool owns(PhysAddr address) const {
    const std::uint64_t page = raw(address) >> kPageShift;
    for (const Region& region : regions_) {
      if (page - region.first_page < region.end_page - region.first_page) {
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] PageStatistics statistics() const;
  [[nodiscard]] const DirectMap& map() const { return map_; }

 private:
  static constexpr unsigned kChunkOrder = 10;  ///< 4 MiB: what the frontier moves by
  struct Region {
    std::uint64_t first_page = 0;     ///< page number (address >> kPageShift)
    std::uint64_t end_page = 0;       ///< one past the last
    std::uint64_t frontier_page = 0;  ///< pages from here on have never been touched
    std::uint8_t* metadata = nullptr;
  };
  struct FreeBlock;

  Region* region_of(std::uint64_t page);
  [[nodiscard]] const Region* region_of(std::uint64_t page) const;
  Status add_region(std::uint64_t first_page, std::uint64_t end_page);
  bool extend(unsigned order);
  void advance_frontier(Region& region);
  void insert_merged(Region& region, std::uint64_t page, unsigned order);
  void push_free(Region& region, std::uint64_t page, unsigned order);
  void unlink_free(Region& region, std::uint64_t page, unsigned order);
  Result<std::uint64_t> take(unsigned order);
  void give_range(Region& region, std::uint64_t page, std::uint64_t pages);
  static std::uint64_t chain_pages(const Region& region, std::uint64_t page);
  void account(std::uint64_t pages);

  mutable SpinLock lock_{"pages", LockRank::Pages};  ///< of everything below but map_
  DirectMap map_;
  BoundedArray<Region, kMaxRegions> regions_;
  FreeBlock* free_[kMaxOrder + 1] = {};
  std::uint32_t free_orders_ = 0;  ///< bit n: free_[n] is not empty
  std::uint64_t total_pages_ = 0;
  std::uint64_t used_pages_ = 0;
  std::uint64_t peak_used_pages_ = 0;
  std::uint64_t metadata_pages_ = 0;
  std::uint64_t allocations_ = 0;
  std::uint64_t frees_ = 0;
  std::uint64_t failures_ = 0;
};

}  // namespace guest::kernel
