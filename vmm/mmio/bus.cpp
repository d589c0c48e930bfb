#include "vmm/mmio/bus.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

namespace vmm::mmio {
namespace {

constexpr std::size_t kSmallestTable = 16;

std::string hex(std::uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  return "0x" + std::string(digits, end);
}

std::unexpected<Error> too_many_pages() {
  return fail("more than " + std::to_string(Bus::kMaxPages) + " pages of devices");
}

}  // namespace

Bus::Bus(UnknownAccessCallback unknown, std::atomic<std::uint64_t>* unknown_count)
    : pages_(kSmallestTable),
      mask_(kSmallestTable - 1),
      unknown_(std::move(unknown)),
      unknown_count_(unknown_count != nullptr ? *unknown_count : own_unknown_count_) {}

Result<> Bus::check(const Range& range) const {
  const std::uint64_t first_page = range.base / kPageBytes;
  const std::uint64_t last_page = range.last / kPageBytes;
  if (ranges_.size() == kMaxDevices) return fail("more than " + std::to_string(kMaxDevices) + " devices");
  if (last_page - first_page >= kMaxPages) return too_many_pages();
  for (const Range& other : ranges_) {
    if (range.base <= other.last && other.base <= range.last) {
      return fail("overlaps " + other.name + " at " + hex(other.base));
    }
  }
  return {};
}

Result<> Bus::add(std::string_view name, Gpa base, std::uint64_t size_bytes, Device& device) {
  auto added = add_range(name, base, size_bytes, device);
  if (added) return added;
  return std::unexpected(std::move(added.error())
                             .because_of("device " + std::string(name) + " at " + hex(base.value()) + ", " +
                                         std::to_string(size_bytes) + " bytes"));
}

Result<> Bus::add_range(std::string_view name, Gpa base, std::uint64_t size_bytes, Device& device) {
  if (size_bytes == 0 || size_bytes - 1 > UINT64_MAX - base.value()) return fail("the range is empty or wraps");
  const Range range{
      .base = base.value(), .last = base.value() + (size_bytes - 1), .device = &device, .name = std::string(name)};
  if (auto done = check(range); !done) return done;

  const std::uint64_t first = range.base / kPageBytes;
  const std::uint64_t last = range.last / kPageBytes;
  std::size_t new_pages = 0;
  for (std::uint64_t number = first; number <= last; ++number) {
    const Page& page = place_of(number);
    if (page.count == kRangesPerPage) return fail("more than " + std::to_string(kRangesPerPage) + " in a page");
    if (page.count == 0) ++new_pages;
  }
  if (used_pages_ + new_pages > kMaxPages) return too_many_pages();
  grow(used_pages_ + new_pages);
  ranges_.push_back(range);
  const auto index = static_cast<std::uint8_t>(ranges_.size() - 1);
  for (std::uint64_t number = first; number <= last; ++number) enter(number, index);
  return {};
}

/// Where a page is, or where it would be entered.
Bus::Page& Bus::place_of(std::uint64_t number) {
  std::size_t i = hash(number) & mask_;
  while (pages_[i].count != 0 && pages_[i].number != number) i = (i + 1) & mask_;
  return pages_[i];
}

void Bus::enter(std::uint64_t number, std::uint8_t range) {
  Page& page = place_of(number);
  if (page.count == 0) ++used_pages_;
  page.number = number;
  page.ranges[page.count++] = range;
  std::ranges::sort(std::span(page.ranges).first(page.count), {}, [this](std::uint8_t i) { return ranges_[i].base; });
}

/// Makes the table large enough for `pages` pages at a quarter full.
void Bus::grow(std::size_t pages) {
  if (4 * pages <= pages_.size()) return;
  std::size_t size = pages_.size();
  while (size < 4 * pages) size *= 2;
  std::vector<Page> old(size);
  old.swap(pages_);
  mask_ = size - 1;
  for (const Page& page : old) {
    if (page.count != 0) place_of(page.number) = page;
  }
}

void Bus::unknown(UnknownAccess access) {
  unknown_count_.fetch_add(1, std::memory_order_relaxed);  // a statistic
  if (!unknown_ || !first_at(access.address)) return;
  // Relaxed, here and below: the set only decides who reports; no data is published through it.
  const std::size_t number = reports_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (number > kMaxReports) return;
  access.last_report = number == kMaxReports;
  unknown_(access);
}

/// True for one access to each address, as long as there is room to remember it.
bool Bus::first_at(Gpa address) {
  if (reports_.load(std::memory_order_relaxed) >= kMaxReports) return false;
  const std::uint64_t entry = ~address.value();
  if (entry == 0) return false;  // the very last byte of the address space is not worth a flag
  constexpr std::size_t kMask = 2 * kMaxReports - 1;
  static_assert((kMask & (kMask + 1)) == 0);
  const std::size_t start = hash(address.value());
  for (std::size_t i = 0; i <= kMask; ++i) {
    std::atomic<std::uint64_t>& place = reported_[(start + i) & kMask];
    std::uint64_t found = 0;
    if (place.compare_exchange_strong(found, entry, std::memory_order_relaxed)) return true;
    if (found == entry) return false;
  }
  return false;
}

}  // namespace vmm::mmio
