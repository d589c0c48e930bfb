// The cost model (docs/npu.md, Cost).
#pragma once

#include "forms.hpp"

namespace npu {

/// Of a command whose operands are known to lie in their regions.
Cost cost_of(const Form& form, const Checked& command, const Model& model);

}  // namespace npu
