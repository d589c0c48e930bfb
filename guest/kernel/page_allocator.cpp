// One byte of metadata a page. For the first page of a block it holds the block's state and order, for every other page
// it is Inner; so a block's buddy is free and whole exactly if its byte says "free, same order".
//
// An allocation of a number of pages that is no power of two is a chain of blocks, largest first: Used, then More.
#include "guest/kernel/page_allocator.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {

enum class State : std::uint8_t { Inner = 0, Free = 1, Used = 2, More = 3 };

constexpr unsigned kOrderBits = 5;
static_assert(PageAllocator::kMaxOrder < (1U << kOrderBits));

constexpr std::uint8_t encode(State state, unsigned order) {
  return static_cast<std::uint8_t>((static_cast<unsigned>(state) << kOrderBits) | order);
}
constexpr State state_of(std::uint8_t metadata) { return static_cast<State>(metadata >> kOrderBits); }
constexpr unsigned order_of(std::uint8_t metadata) { return metadata & ((1U << kOrderBits) - 1); }

constexpr std::uint64_t pages_of(unsigned order) { return std::uint64_t{1} << order; }
constexpr PhysAddr address_of(std::uint64_t page) { return PhysAddr{page << kPageShift}; }
constexpr unsigned floor_order(std::uint64_t pages) { return static_cast<unsigned>(std::bit_width(pages)) - 1; }

/// A piece of memory with fewer usable pages than this is not worth a region.
constexpr std::uint64_t kMinRegionPages = 4;
/// Mixed with the block's address, so that a copy of a link elsewhere does not pass.
constexpr std::uint64_t kLinkCheck = 0x5349'5350'4147'4553;  // "SISPAGES"

}  // namespace

/// Lies at the start of a free block.
struct PageAllocator::FreeBlock {
  FreeBlock* next;
  FreeBlock* previous;
  std::uint64_t check;
  [[nodiscard]] std::uint64_t expected_check() const { return kLinkCheck ^ reinterpret_cast<std::uintptr_t>(this); }
};

Status PageAllocator::add_memory(std::span<const PhysRange> memory, std::span<const PhysRange> reserved) {
  const SpinGuard guard(lock_);
  for (const PhysRange& range : memory) {
    std::uint64_t at = range.begin();
    while (at < range.end()) {
      // Past every reserved range that `at` lies in, then up to the next one.
      std::uint64_t stop = range.end();
      std::uint64_t skip = at;
      for (const PhysRange& hole : reserved) {
        if (hole.size == 0) {
          continue;
        }
        if (hole.begin() <= at && at < hole.end()) {
          skip = std::max(skip, hole.end());
        } else if (hole.begin() > at) {
          stop = std::min(stop, hole.begin());
        }
      }
      if (skip > at) {
        at = skip;
        continue;
      }
      if (const Status status = add_region((at + kPageBytes - 1) >> kPageShift, stop >> kPageShift);
          status != Status::Ok) {
        return status;
      }
      at = stop;
    }
  }
  return regions_.empty() ? Status::NoMemory : Status::Ok;
}

Status PageAllocator::add_region(std::uint64_t first_page, std::uint64_t end_page) {
  if (end_page <= first_page) {
    return Status::Ok;
  }
  // One byte describes a page, so one page of metadata describes 4096 more.
  const std::uint64_t metadata_pages = (end_page - first_page + kPageBytes) / (kPageBytes + 1);
  const std::uint64_t usable = end_page - first_page - metadata_pages;
  if (usable < kMinRegionPages) {
    return Status::Ok;
  }
  Region region;
  region.first_page = first_page + metadata_pages;
  region.end_page = end_page;
  region.frontier_page = region.first_page;
  region.metadata = map_.pointer<std::uint8_t>(address_of(first_page));
  if (!regions_.push_back(region)) {
    return Status::NoMemory;
  }
  metadata_pages_ += metadata_pages;
  total_pages_ += usable;
  return Status::Ok;
}

const PageAllocator::Region* PageAllocator::region_of(std::uint64_t page) const {
  for (const Region& region : regions_) {
    if (page >= region.first_page && page < region.end_page) {
      return &region;
    }
  }
  return nullptr;
}

PageAllocator::Region* PageAllocator::region_of(std::uint64_t page) {
  return const_cast<Region*>(std::as_const(*this).region_of(page));  // the object is not const
}

void PageAllocator::push_free(Region& region, std::uint64_t page, unsigned order) {
  region.metadata[page - region.first_page] = encode(State::Free, order);
  FreeBlock* const block = map_.pointer<FreeBlock>(address_of(page));
  block->next = free_[order];
  block->previous = nullptr;
  block->check = block->expected_check();
  if (block->next != nullptr) {
    block->next->previous = block;
  }
  free_[order] = block;
  free_orders_ |= 1U << order;
}

void PageAllocator::unlink_free(Region& region, std::uint64_t page, unsigned order) {
  FreeBlock* const block = map_.pointer<FreeBlock>(address_of(page));
  // The check word is looked at first: the links are followed only if nobody has written over the block.
  if (block->check != block->expected_check() || (block->next != nullptr && block->next->previous != block) ||
      (block->previous == nullptr ? free_[order] != block : block->previous->next != block)) {
    panic_at(here(), "free pages at {:#x} were written to after they were freed", page << kPageShift);
  }
  (block->previous == nullptr ? free_[order] : block->previous->next) = block->next;
  if (block->next != nullptr) {
    block->next->previous = block->previous;
  }
  if (free_[order] == nullptr) {
    free_orders_ &= ~(1U << order);
  }
  region.metadata[page - region.first_page] = encode(State::Inner, 0);
}

void PageAllocator::insert_merged(Region& region, std::uint64_t page, unsigned order) {
  while (order < kMaxOrder) {
    const std::uint64_t buddy = page ^ pages_of(order);
    if (buddy < region.first_page || buddy + pages_of(order) > region.frontier_page ||
        region.metadata[buddy - region.first_page] != encode(State::Free, order)) {
      break;
    }
    unlink_free(region, buddy, order);
    page = std::min(page, buddy);
    ++order;
  }
  push_free(region, page, order);
}

void PageAllocator::give_range(Region& region, std::uint64_t page, std::uint64_t pages) {
  while (pages > 0) {
    const auto aligned = static_cast<unsigned>(std::countr_zero(page));
    const unsigned order = std::min({aligned, floor_order(pages), kMaxOrder});
    insert_merged(region, page, order);
    page += pages_of(order);
    pages -= pages_of(order);
  }
}

void PageAllocator::advance_frontier(Region& region) {
  const std::uint64_t from = region.frontier_page;
  const std::uint64_t chunk_end = (from / pages_of(kChunkOrder) + 1) * pages_of(kChunkOrder);
  const std::uint64_t to = std::min(region.end_page, chunk_end);
  std::memset(region.metadata + (from - region.first_page), encode(State::Inner, 0), to - from);
  region.frontier_page = to;
  give_range(region, from, to - from);
}

bool PageAllocator::extend(unsigned order) {
  const std::uint64_t wanted = pages_of(order);
  for (Region& region : regions_) {
    const std::uint64_t first_aligned = (region.first_page + wanted - 1) / wanted * wanted;
    if (first_aligned + wanted > region.end_page) {
      continue;  // no block of this order fits, whatever is free
    }
    while (region.frontier_page < region.end_page) {
      advance_frontier(region);
      if (free_orders_ >> order != 0) {
        return true;
      }
    }
  }
  return false;
}

Result<std::uint64_t> PageAllocator::take(unsigned order) {
  if (order > kMaxOrder || (free_orders_ >> order == 0 && !extend(order))) {
    ++failures_;
    return std::unexpected(Status::NoMemory);
  }
  unsigned found = order + static_cast<unsigned>(std::countr_zero(free_orders_ >> order));
  const std::uint64_t page = raw(map_.address(free_[found])) >> kPageShift;
  Region* const region = region_of(page);
  if (region == nullptr) {
    panic_at(here(), "the list of free pages holds {:#x}, which is not free memory", page << kPageShift);
  }
  unlink_free(*region, page, found);
  while (found > order) {
    --found;
    push_free(*region, page + pages_of(found), found);
  }
  return page;
}

void PageAllocator::account(std::uint64_t pages) {
  ++allocations_;
  used_pages_ += pages;
  peak_used_pages_ = std::max(peak_used_pages_, used_pages_);
}

Result<PhysAddr> PageAllocator::allocate(unsigned order) {
  const SpinGuard guard(lock_);
  const auto page = take(order);
  if (!page) {
    return std::unexpected(page.error());
  }
  Region& region = *region_of(*page);
  region.metadata[*page - region.first_page] = encode(State::Used, order);
  account(pages_of(order));
  return address_of(*page);
}

Result<PhysAddr> PageAllocator::allocate_pages(std::uint64_t pages) {
  require(pages > 0, "an allocation of no pages");
  const SpinGuard guard(lock_);
  const unsigned order = pages > pages_of(kMaxOrder) ? kMaxOrder + 1 : floor_order(std::bit_ceil(pages));
  const auto page = take(order);
  if (!page) {
    return std::unexpected(page.error());
  }
  Region& region = *region_of(*page);
  // Descending powers of two from an aligned start: every block is aligned to its size.
  State state = State::Used;
  std::uint64_t at = *page;
  for (std::uint64_t left = pages; left > 0;) {
    const unsigned part = floor_order(left);
    region.metadata[at - region.first_page] = encode(state, part);
    state = State::More;
    at += pages_of(part);
    left -= pages_of(part);
  }
  give_range(region, at, *page + pages_of(order) - at);
  account(pages);
  return address_of(*page);
}

std::uint64_t PageAllocator::chain_pages(const Region& region, std::uint64_t page) {
  std::uint64_t at = page;
  do {
    at += pages_of(order_of(region.metadata[at - region.first_page]));
  } while (at < region.frontier_page && state_of(region.metadata[at - region.first_page]) == State::More);
  return at - page;
}

std::uint64_t PageAllocator::allocated_pages(PhysAddr address) const {
  const SpinGuard guard(lock_);
  const std::uint64_t page = raw(address) >> kPageShift;
  const Region* const region = region_of(page);
  if (raw(address) % kPageBytes != 0 || region == nullptr || page >= region->frontier_page ||
      state_of(region->metadata[page - region->first_page]) != State::Used) {
    return 0;
  }
  return chain_pages(*region, page);
}

std::uint64_t PageAllocator::free(PhysAddr address) {
  const SpinGuard guard(lock_);
  const std::uint64_t page = raw(address) >> kPageShift;
  Region* const region = region_of(page);
  if (raw(address) % kPageBytes != 0 || region == nullptr || page >= region->frontier_page) {
    panic_at(here(), "free of {:#x}, which was never allocated", raw(address));
  }
  const State state = state_of(region->metadata[page - region->first_page]);
  if (state != State::Used) {
    panic_at(here(), "free of the pages at {:#x}, which are {}", raw(address),
             state == State::Free ? "free already" : "inside of another block");
  }
  const std::uint64_t pages = chain_pages(*region, page);
  for (std::uint64_t at = page; at < page + pages;) {
    std::uint8_t& metadata = region->metadata[at - region->first_page];
    const unsigned order = order_of(metadata);
    metadata = encode(State::Inner, 0);
    insert_merged(*region, at, order);
    at += pages_of(order);
  }
  ++frees_;
  used_pages_ -= pages;
  return pages;
}

PageStatistics PageAllocator::statistics() const {
  const SpinGuard guard(lock_);
  std::uint64_t largest = free_orders_ == 0 ? 0 : pages_of(floor_order(free_orders_));
  for (const Region& region : regions_) {
    for (std::uint64_t size = pages_of(kMaxOrder); size > largest; size /= 2) {
      if ((region.frontier_page + size - 1) / size * size + size <= region.end_page) {
        largest = size;
      }
    }
  }
  return {.total_pages = total_pages_,
          .free_pages = total_pages_ - used_pages_,
          .used_pages = used_pages_,
          .peak_used_pages = peak_used_pages_,
          .metadata_pages = metadata_pages_,
          .largest_free_pages = largest,
          .allocations = allocations_,
          .frees = frees_,
          .failures = failures_};
}

}  // namespace guest::kernel
