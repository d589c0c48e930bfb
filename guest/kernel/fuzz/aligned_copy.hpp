// Input where a tree may lie: aligned, and with nothing readable behind it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

class AlignedCopy {
 public:
  // operator new aligns to 16; the block has exactly the input's size, so that ASan sees the first byte beyond it.
  AlignedCopy(const std::uint8_t* data, std::size_t size) : bytes_(new std::byte[size]), size_(size) {
    std::copy_n(std::as_bytes(std::span(data, size)).data(), size, bytes_.get());
  }
  [[nodiscard]] std::span<const std::byte> span() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};
