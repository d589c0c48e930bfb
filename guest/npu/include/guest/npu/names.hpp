// Names of what the NPU says, as docs/npu.md spells them but in lower case: "cycle-limit".
#pragma once

#include <string_view>

#include "abi/npu.hpp"

namespace guest::npu {

/// "unknown" for a value that there is not, here and below.
std::string_view to_string(abi::npu::Status status);
std::string_view to_string(abi::npu::Reason reason);
std::string_view to_string(abi::npu::Priority priority);
std::string_view to_string(abi::npu::Power power);
std::string_view to_string(abi::npu::Opcode opcode);

}  // namespace guest::npu
