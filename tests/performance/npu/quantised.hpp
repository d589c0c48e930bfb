// How the plain loops end a sum of products.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "abi/npu_commands.hpp"
#include "rivals.hpp"

namespace npu_bench {

/// A sum as an element of the output: with its bias where there is one, and as an i8 scaled by the channel's multiplier
/// and shift, which is to the right. One rounding, where the command has two: so an i8 may be off by one.
template <typename Out, typename Sum>
Out finish(const npu::Checked& command, Sum sum, std::size_t channel) {
  namespace operand = abi::npu::operand;
  namespace param = abi::npu::param;
  if (const auto* bias = elements<const Sum>(command, operand::kBias)) sum += bias[channel];
  if constexpr (std::is_same_v<Out, std::int8_t>) {
    const std::size_t index = (command.flags & abi::npu::command_flag::kPerTensor) != 0 ? 0 : channel;
    const int shift = 31 - elements<const std::int32_t>(command, operand::kShifts)[index];
    const std::int64_t product =
        std::int64_t{sum} * elements<const std::int32_t>(command, operand::kMultipliers)[index];
    const std::int64_t value = ((product + (std::int64_t{1} << (shift - 1))) >> shift) +
                               static_cast<std::int32_t>(command.params[param::kZeroOut]);
    return static_cast<Out>(std::clamp<std::int64_t>(value, static_cast<std::int32_t>(command.params[param::kMin]),
                                                     static_cast<std::int32_t>(command.params[param::kMax])));
  } else {
    return sum;
  }
}

}  // namespace npu_bench
