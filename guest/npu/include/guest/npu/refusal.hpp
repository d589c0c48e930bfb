// What an accelerator refuses, as an error for people.
#pragma once

#include <string_view>

#include "guest/kernel/named_error.hpp"
#include "guest/npu/region_table.hpp"

namespace guest::npu {

/// "npu-refused", with status and reason. `what` was asked for: "a region".
kernel::NamedError refused(std::string_view what, Refusal refusal);

}  // namespace guest::npu
