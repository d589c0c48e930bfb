// Messages about a kernel file that cannot be booted.
#pragma once

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "vmm/machine/board/kernel_image.hpp"

namespace vmm::board {

inline std::string hex(std::uint64_t value) {
  std::array<char, 16> digits{};
  return "0x" + std::string(digits.data(), std::to_chars(digits.begin(), digits.end(), value, 16).ptr);
}

inline std::unexpected<Error> bad_kernel(const ImageSource& source, std::string_view why) {
  return fail("cannot boot " + source.name() + ": " + std::string(why), abi::ExitCode::Usage);
}

inline std::unexpected<Error> does_not_fit(const ImageSource& source, AddressRange memory, AddressRange ram) {
  return bad_kernel(source, hex(memory.size_bytes) + " bytes at " + hex(memory.base.value()) +
                                " do not lie in the guest's memory, " + hex(ram.size_bytes) + " bytes at " +
                                hex(ram.base.value()));
}

}  // namespace vmm::board
