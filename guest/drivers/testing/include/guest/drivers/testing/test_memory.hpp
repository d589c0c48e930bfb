// "Guest memory" for tests: one arena, seen by the driver as pointers and by a fake device as physical addresses.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "guest/drivers/dma.hpp"

namespace guest::drivers::testing {

class TestMemory final : public DmaMemory {
 public:
  static constexpr std::uint64_t kBase = 0x4000'0000;

  explicit TestMemory(std::size_t bytes)
      : size_(bytes), storage_(std::make_unique<Page[]>(bytes / kernel::kPageBytes)) {}

  kernel::Result<DmaBuffer> allocate(std::size_t bytes) override {
    const std::size_t rounded = (bytes + kernel::kPageBytes - 1) / kernel::kPageBytes * kernel::kPageBytes;
    if (rounded > size_ - used_ || allocations_left == 0) {
      return std::unexpected(kernel::Status::NoMemory);
    }
    --allocations_left;
    ++live;
    const std::size_t offset = used_;
    used_ += rounded;
    return DmaBuffer{.bytes = {base() + offset, bytes}, .address = kernel::PhysAddr{kBase + offset}};
  }
  void free(const DmaBuffer&) override { --live; }

  /// Where the driver finds the memory of this process on the bus, the arena among it.
  kernel::DirectMap map() { return kernel::DirectMap(reinterpret_cast<std::uintptr_t>(base()) - kBase); }

  /// The device's view; null: not memory.
  std::byte* at(std::uint64_t address, std::size_t bytes) {
    if (whole_process) {
      return map().pointer<std::byte>(kernel::PhysAddr{address});
    }
    if (address < kBase || address - kBase > size_ || bytes > size_ - (address - kBase)) {
      return nullptr;
    }
    return base() + (address - kBase);
  }
  template <typename T>
  T load(std::uint64_t address) {
    T value{};
    const std::byte* const from = at(address, sizeof(T));
    EXPECT_NE(from, nullptr) << "device read outside of memory at " << address;
    if (from != nullptr) std::memcpy(&value, from, sizeof(T));
    return value;
  }
  template <typename T>
  void store(std::uint64_t address, const T& value) {
    std::byte* const to = at(address, sizeof(T));
    ASSERT_NE(to, nullptr) << "device write outside of memory at " << address;
    std::memcpy(to, &value, sizeof(T));
  }

  std::size_t allocations_left = ~std::size_t{0};
  int live = 0;
  /// The device sees all memory of this process, and AddressSanitizer is what finds a wrong address.
  bool whole_process = false;

 private:
  struct alignas(4096) Page {
    std::byte bytes[4096];
  };
  std::byte* base() { return storage_[0].bytes; }
  std::size_t size_;
  std::size_t used_ = 0;
  std::unique_ptr<Page[]> storage_;
};

}  // namespace guest::drivers::testing
