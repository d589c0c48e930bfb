// Which build this is.
#pragma once

#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::arch {

/// "0.1.0"
std::string_view version();
/// The linker's build id (a hash of the image) in hexadecimal.
void write_build_id(kernel::TextOutput& output);

}  // namespace guest::arch
