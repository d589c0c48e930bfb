// A boot that was refused.
#pragma once

#include "guest/kernel/named_error.hpp"

namespace guest {

/// "BOOT CONFIG ERROR: <name>: <detail>", the exit record of kind "boot-config", power off.
[[noreturn]] void refuse_boot(const kernel::NamedError& error);

}  // namespace guest
