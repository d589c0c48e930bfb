// Numbers in messages.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

namespace vmm::machine_kvm {

/// "0x1f".
inline std::string hex(std::uint64_t value) {
  std::array<char, 16> digits{};
  return "0x" + std::string(digits.data(), std::to_chars(digits.begin(), digits.end(), value, 16).ptr);
}

}  // namespace vmm::machine_kvm
