// Device registers. Each access is one ldr or str with a plain base register: a load that the compiler merged, widened
// or gave write-back has no syndrome (ISV=0), and a hypervisor cannot emulate it.
#pragma once

#include <cstdint>

namespace guest::arch {

// The "memory" clobber keeps accesses in program order among themselves and with ordinary memory in the compiler;
// Device-nGnRE keeps them in order in the CPU. Ordering against normal memory (a ring before its doorbell) is the
// caller's barrier.
inline std::uint8_t mmio_read8(std::uintptr_t address) {
  std::uint32_t value;
  asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return static_cast<std::uint8_t>(value);
}
inline std::uint16_t mmio_read16(std::uintptr_t address) {
  std::uint32_t value;
  asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return static_cast<std::uint16_t>(value);
}
inline std::uint32_t mmio_read32(std::uintptr_t address) {
  std::uint32_t value;
  asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline std::uint64_t mmio_read64(std::uintptr_t address) {
  std::uint64_t value;
  asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline void mmio_write8(std::uintptr_t address, std::uint8_t value) {
  asm volatile("strb %w0, [%1]" : : "rZ"(static_cast<std::uint32_t>(value)), "r"(address) : "memory");
}
inline void mmio_write16(std::uintptr_t address, std::uint16_t value) {
  asm volatile("strh %w0, [%1]" : : "rZ"(static_cast<std::uint32_t>(value)), "r"(address) : "memory");
}
inline void mmio_write32(std::uintptr_t address, std::uint32_t value) {
  asm volatile("str %w0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}
inline void mmio_write64(std::uintptr_t address, std::uint64_t value) {
  asm volatile("str %0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}

}  // namespace guest::arch
