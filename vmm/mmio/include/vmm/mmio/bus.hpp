// Which device a guest-physical address belongs to.
//
// Built before the virtual CPUs start, then only read: every virtual CPU looks devices up without a lock. Pages that
// hold devices are found in an open hash table that is at most a quarter full; in a page lie at most eight ranges,
// sorted (virtio-mmio slots are 0x200 bytes apart). So the cost of a look-up has a bound that depends neither on the
// number of devices nor on the guest.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/memory/guest_memory.hpp"
#include "vmm/mmio/device.hpp"

namespace vmm::mmio {

/// An access to an address where no device lies, or over the edge of one.
struct UnknownAccess {
  Gpa address;
  unsigned size_bytes = 0;
  bool is_write = false;
  std::uint64_t value = 0;   ///< written; 0 for a read
  bool last_report = false;  ///< the guest has used up what is reported; further addresses are only counted
};

/// Called by the virtual CPU that made the access, for the first access to an address; several virtual CPUs may call
/// it at once.
using UnknownAccessCallback = std::function<void(const UnknownAccess&)>;

/// Thread: add() before the first access; read(), write() and the counter from any thread.
class Bus {
 public:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kRangesPerPage = 8;
  static constexpr std::size_t kMaxDevices = 255;
  /// Pages of all devices together: large windows are memory, not registers.
  static constexpr std::size_t kMaxPages = 4096;
  /// A guest that reads all of its address space must not fill the log.
  static constexpr std::size_t kMaxReports = 64;

  /// @param unknown         may be empty
  /// @param unknown_count   where to count, outliving the bus; null: in the bus
  explicit Bus(UnknownAccessCallback unknown = {}, std::atomic<std::uint64_t>* unknown_count = nullptr);
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  /// Puts a device at [base, base + size_bytes). It must outlive the bus's last access.
  /// @return an error that names the device if the range is empty, wraps, overlaps another, or a limit is exceeded
  Result<> add(std::string_view name, Gpa base, std::uint64_t size_bytes, Device& device);

  /// Accesses that found no device, so far.
  [[nodiscard]] std::uint64_t unknown_accesses() const {
    return unknown_count_.load(std::memory_order_relaxed);  // a statistic: nothing is published through it
  }

  /// One access of a virtual CPU. Unknown addresses read as 0.
  /// @param size_bytes 1, 2, 4 or 8; anything else is an unknown access
  [[nodiscard]] std::uint64_t read(Gpa address, unsigned size_bytes) {
    if (const Range* range = find(address.value(), size_bytes)) {
      return range->device->read(address.value() - range->base, size_bytes);
    }
    unknown({.address = address, .size_bytes = size_bytes, .is_write = false});
    return 0;
  }
  /// As read(); writes to unknown addresses have no effect.
  void write(Gpa address, unsigned size_bytes, std::uint64_t value) {
    if (const Range* range = find(address.value(), size_bytes)) {
      return range->device->write(address.value() - range->base, size_bytes, value);
    }
    unknown({.address = address, .size_bytes = size_bytes, .is_write = true, .value = value});
  }

 private:
  // Both of a size that is a power of two (Range: with a std::string of 32 bytes), so that the vectors check an index
  // by a shift instead of a division. Aligned to no more than what the heap gives anyway.
  struct alignas(16) Range {
    std::uint64_t base = 0;
    std::uint64_t last = 0;  ///< inclusive, so that a range may end where addresses do
    Device* device = nullptr;
    std::string name;
  };
  struct alignas(16) Page {
    std::uint64_t number = 0;                           ///< address / kPageBytes
    std::uint8_t count = 0;                             ///< 0: the place in the table is free
    std::array<std::uint8_t, kRangesPerPage> ranges{};  ///< [count], indices into ranges_, by address
  };
  static_assert(sizeof(Page) == 32);

  [[nodiscard]] static std::size_t hash(std::uint64_t page) {
    // Fibonacci hashing: neighbouring pages land far apart, so probes stay short.
    return static_cast<std::size_t>((page * 0x9E37'79B9'7F4A'7C15u) >> 32);
  }
  [[nodiscard]] const Range* find(std::uint64_t address, unsigned size_bytes) const {
    const std::uint64_t number = address / kPageBytes;
    for (std::size_t i = hash(number) & mask_; pages_[i].count != 0; i = (i + 1) & mask_) {
      if (pages_[i].number == number) return find_in(pages_[i], address, size_bytes);
    }
    return nullptr;
  }
  [[nodiscard]] const Range* find_in(const Page& page, std::uint64_t address, unsigned size_bytes) const {
    if (size_bytes != 1 && size_bytes != 2 && size_bytes != 4 && size_bytes != 8) return nullptr;
    for (unsigned i = 0; i < page.count; ++i) {
      const Range& range = ranges_[page.ranges[i]];
      if (address > range.last) continue;
      const bool inside = address >= range.base && size_bytes - 1 <= range.last - address;
      return inside ? &range : nullptr;
    }
    return nullptr;
  }
  [[nodiscard]] Page& place_of(std::uint64_t number);
  [[nodiscard]] Result<> check(const Range& range) const;
  Result<> add_range(std::string_view name, Gpa base, std::uint64_t size_bytes, Device& device);
  void enter(std::uint64_t number, std::uint8_t range);
  void grow(std::size_t pages);
  void unknown(UnknownAccess access);
  [[nodiscard]] bool first_at(Gpa address);

  std::vector<Range> ranges_;
  std::vector<Page> pages_;  ///< a power of two, at most a quarter in use
  std::size_t mask_ = 0;
  std::size_t used_pages_ = 0;

  UnknownAccessCallback unknown_;
  std::atomic<std::uint64_t> own_unknown_count_{0};
  std::atomic<std::uint64_t>& unknown_count_;
  /// Reported addresses, as their complement, so that 0 is free. An open hash table at most half full, but for one
  /// entry for each virtual CPU that was about to enter one when it became so.
  std::array<std::atomic<std::uint64_t>, 2 * kMaxReports> reported_{};
  std::atomic<std::size_t> reports_{0};
};

}  // namespace vmm::mmio
