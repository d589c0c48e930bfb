// A window of device registers, as an interface: single loads and stores in the guest, a model in tests.
#pragma once

#include <cstdint>

namespace guest::drivers {

/// Registers of one device. Offsets are in bytes from its base and aligned to the access. Accesses happen once each, in
/// program order among themselves; ordering against memory that the device reads is the caller's barrier.
class Mmio {
 public:
  virtual std::uint8_t read8(std::uint32_t offset) = 0;
  virtual std::uint16_t read16(std::uint32_t offset) = 0;
  virtual std::uint32_t read32(std::uint32_t offset) = 0;
  virtual void write8(std::uint32_t offset, std::uint8_t value) = 0;
  virtual void write16(std::uint32_t offset, std::uint16_t value) = 0;
  virtual void write32(std::uint32_t offset, std::uint32_t value) = 0;

 protected:
  ~Mmio() = default;
};

}  // namespace guest::drivers
