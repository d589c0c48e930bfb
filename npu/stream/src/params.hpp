// Checks of a command's parameters. They are bits of f32 or i32; no floating point is used, since this also runs where
// FP registers must not be touched.
#pragma once

#include <optional>

#include "forms.hpp"

namespace npu {

/// All parameters of `command`, whose types, flags and dimensions are known to be right.
std::optional<Violation> check_params(const Form& form, const Checked& command);

}  // namespace npu
