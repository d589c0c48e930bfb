// What dimensions and parameters of a command have to do with each other, beyond the products of forms.hpp.
#pragma once

#include <optional>

#include "forms.hpp"

namespace npu {

/// Rope: pairs are within a head.
std::optional<Violation> check_rope(const Checked& command);
/// Attention: a whole number of query heads for each key head; a head fits an accumulator.
std::optional<Violation> check_attention(const Checked& command);
/// TopK: no more than there are, and than kMaxTop.
std::optional<Violation> check_top(const Checked& command);
/// Convolutions and pools: every window begins within the padded image, and a pool's touches the image.
std::optional<Violation> check_window(const Checked& command);
/// Also: a whole number of output channels for each input channel.
std::optional<Violation> check_depthwise(const Checked& command);

}  // namespace npu
