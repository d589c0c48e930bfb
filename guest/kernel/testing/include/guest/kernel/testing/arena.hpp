// Memory for allocator tests: a big mapping that stands for the machine's RAM. Untouched pages cost nothing.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "guest/kernel/physical_memory.hpp"

namespace guest::kernel::testing {

class Arena {
 public:
  static constexpr std::uint64_t kAlignment = std::uint64_t{1} << 30;

  /// RAM of `bytes` from the physical address `base` (a multiple of 1 GiB) on.
  Arena(std::uint64_t base, std::uint64_t bytes) : base_(base), bytes_(bytes), mapped_bytes_(bytes + kAlignment) {
    mapping_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping_ == MAP_FAILED) {
      throw std::runtime_error("no memory for the arena");
    }
    // Aligned as the direct map is, so that aligned physical addresses have aligned pointers.
    start_ = (reinterpret_cast<std::uintptr_t>(mapping_) + kAlignment - 1) / kAlignment * kAlignment;
  }
  ~Arena() { munmap(mapping_, mapped_bytes_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] PhysRange range() const { return {PhysAddr{base_}, bytes_}; }
  [[nodiscard]] DirectMap map() const { return DirectMap(start_ - base_); }

 private:
  std::uint64_t base_;
  std::uint64_t bytes_;
  std::size_t mapped_bytes_;
  void* mapping_;
  std::uintptr_t start_;
};

}  // namespace guest::kernel::testing
