// What a device that virtual CPUs read and write is to the machine.
#pragma once

#include <cstdint>

namespace vmm::mmio {

/// Registers in guest-physical address space.
///
/// Thread: any virtual CPU's, several at once; a device synchronises itself. A call should not take long: the virtual
/// CPU waits for it.
class Device {
 public:
  virtual ~Device() = default;
  /// @param offset     from the start of the device's range; offset + size_bytes lies in it
  /// @param size_bytes 1, 2, 4 or 8
  /// @return the value, whose upper bytes beyond `size_bytes` are ignored; 0 where there is no register
  virtual std::uint64_t read(std::uint64_t offset, unsigned size_bytes) = 0;
  /// As read(); a write where there is no register has no effect.
  virtual void write(std::uint64_t offset, unsigned size_bytes, std::uint64_t value) = 0;
};

/// A wire to the interrupt controller. Level-triggered devices set it for as long as they want attention; for an
/// edge-triggered interrupt, set(true) is the edge and there is no set(false). Thread: any.
class InterruptLine {
 public:
  virtual ~InterruptLine() = default;
  virtual void set(bool asserted) = 0;
};

}  // namespace vmm::mmio
