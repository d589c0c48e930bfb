// Registers that this CPU reaches by loads and stores.
#pragma once

#include <cstdint>

#include "guest/arch/mmio.hpp"
#include "guest/drivers/mmio.hpp"

namespace guest::drivers {

/// A window of device memory at a virtual address that is mapped as device memory while this object lives.
class DirectMmio final : public Mmio {
 public:
  explicit constexpr DirectMmio(std::uintptr_t base) : base_(base) {}

  std::uint8_t read8(std::uint32_t offset) override { return arch::mmio_read8(base_ + offset); }
  std::uint16_t read16(std::uint32_t offset) override { return arch::mmio_read16(base_ + offset); }
  std::uint32_t read32(std::uint32_t offset) override { return arch::mmio_read32(base_ + offset); }
  void write8(std::uint32_t offset, std::uint8_t value) override { arch::mmio_write8(base_ + offset, value); }
  void write16(std::uint32_t offset, std::uint16_t value) override { arch::mmio_write16(base_ + offset, value); }
  void write32(std::uint32_t offset, std::uint32_t value) override { arch::mmio_write32(base_ + offset, value); }

 private:
  std::uintptr_t base_;
};

}  // namespace guest::drivers
