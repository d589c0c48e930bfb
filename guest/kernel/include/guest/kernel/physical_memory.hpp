// Physical addresses, and how the kernel reaches them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guest::kernel {

/// Address on the machine's bus. Not a pointer; DirectMap makes one.
enum class PhysAddr : std::uint64_t {};
constexpr std::uint64_t raw(PhysAddr address) { return static_cast<std::uint64_t>(address); }
constexpr PhysAddr operator+(PhysAddr address, std::uint64_t bytes) { return PhysAddr{raw(address) + bytes}; }

/// [base, base + size). Neither wraps: base + size is at most 2^63.
struct PhysRange {
  PhysAddr base{};
  std::uint64_t size = 0;  ///< bytes; 0: nothing
  [[nodiscard]] constexpr std::uint64_t begin() const { return raw(base); }
  [[nodiscard]] constexpr std::uint64_t end() const { return raw(base) + size; }
  [[nodiscard]] constexpr bool contains(PhysRange other) const {
    return other.begin() >= begin() && other.end() <= end();
  }
  [[nodiscard]] constexpr bool overlaps(PhysRange other) const {
    return other.begin() < end() && begin() < other.end() && size != 0 && other.size != 0;
  }
  friend bool operator==(const PhysRange&, const PhysRange&) = default;
};

inline constexpr unsigned kPageShift = 12;
inline constexpr std::uint64_t kPageBytes = std::uint64_t{1} << kPageShift;

/// The mapping of all RAM at one offset.
class DirectMap {
 public:
  /// pointer = physical address + `offset`, modulo 2^64.
  explicit constexpr DirectMap(std::uint64_t offset) : offset_(offset) {}
  // The two casts are what the direct map is: the MMU (in host tests: one big mapping) makes them true.
  template <typename T = void>
  [[nodiscard]] T* pointer(PhysAddr address) const {
    return reinterpret_cast<T*>(raw(address) + offset_);  // NOLINT(performance-no-int-to-ptr)
  }
  [[nodiscard]] PhysAddr address(const void* pointer) const {
    return PhysAddr{reinterpret_cast<std::uintptr_t>(pointer) - offset_};
  }

 private:
  std::uint64_t offset_;
};

}  // namespace guest::kernel
