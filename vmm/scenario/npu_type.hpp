// The key npu.
#pragma once

#include <optional>

#include "types.hpp"
#include "vmm/devices/npu_options/options.hpp"

namespace vmm::scenario {

/// on, off, or a map of what is chosen of it.
TypePtr<std::optional<npu::Options>> npu_type();

}  // namespace vmm::scenario
