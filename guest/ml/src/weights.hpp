// What a layer computes with, against what it takes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "abi/npu_commands.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/ml/network.hpp"

namespace guest::ml {

/// Which operand of a command a member of Weights is.
struct WeightOperand {
  Constant Weights::* member;
  unsigned operand;
};
inline constexpr std::array<WeightOperand, 4> kWeightOperands = {{
    {.member = &Weights::weight, .operand = abi::npu::operand::kWeight},
    {.member = &Weights::bias, .operand = abi::npu::operand::kBias},
    {.member = &Weights::multipliers, .operand = abi::npu::operand::kMultipliers},
    {.member = &Weights::shifts, .operand = abi::npu::operand::kShifts},
}};

struct WeightShape {
  std::uint64_t rows;
  std::uint64_t columns;
  std::uint32_t outputs;
  bool is_convolution = false;
};

/// Types and sizes of `weights` for a layer `where` that takes `from`. Errors: ml-bad-type, ml-bad-weights.
kernel::Outcome check_weights(std::string_view where, const TensorType& from, const WeightShape& shape,
                              const Weights& weights);

/// kPerTensor where one multiplier is for all `outputs`, of which there are several. Of weights that have been checked.
std::uint16_t per_tensor_flag(const Weights& weights, std::uint32_t outputs);

}  // namespace guest::ml
