// A console for saying what is wrong with a device tree that cannot be read as a whole.
#pragma once

#include <cstddef>
#include <span>

#include "guest/kernel/machine_info.hpp"

namespace guest {

/// The first PL011 of `tree`, wherever it is, at the address that a root with two cells for addresses and sizes would
/// give it. Kind None: none is found. `tree` is hostile; libfdt checks every offset.
kernel::ConsoleInfo find_rescue_console(std::span<const std::byte> tree);

}  // namespace guest
