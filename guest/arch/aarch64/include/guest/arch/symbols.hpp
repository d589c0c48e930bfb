// Names of kernel functions.
#pragma once

#include "guest/kernel/symbols.hpp"

namespace guest::arch {

/// The table that the build put into this image.
kernel::SymbolTable kernel_symbols();

}  // namespace guest::arch
