#include "weights.hpp"

#include <optional>

namespace guest::ml {
namespace {

using abi::npu::Type;
using kernel::fail;

constexpr std::string_view kBadWeights = "ml-bad-weights";
constexpr std::uint64_t kWordBytes = sizeof(std::uint32_t);

bool takes(const TensorType& from, const WeightShape& shape, Type weight) {
  if (from.type == Type::I8) {
    return weight == Type::I8;
  }
  return weight == Type::F32 ||
         (!shape.is_convolution && (weight == Type::F16 || weight == Type::Q8_0 || weight == Type::Q4_0));
}

/// A constant of one word for each output.
kernel::Outcome check_row(std::string_view where, std::string_view what, const Constant& constant, Type type,
                          std::uint64_t elements) {
  if (constant.type != type || constant.bytes.size() != elements * kWordBytes) {
    return fail(kBadWeights, "{}: {}: expected {} {}, given {} bytes of {}", where, what, elements, to_string(type),
                constant.bytes.size(), to_string(constant.type));
  }
  return {};
}

kernel::Outcome check_requantisation(std::string_view where, const WeightShape& shape, const Weights& weights) {
  // One for all, or one for each.
  const std::uint64_t elements = weights.multipliers.bytes.size() == kWordBytes ? 1 : shape.outputs;
  if (const auto fit = check_row(where, "multipliers", weights.multipliers, Type::I32, elements); !fit) {
    return fit;
  }
  return check_row(where, "shifts", weights.shifts, Type::I32, elements);
}

}  // namespace

kernel::Outcome check_weights(std::string_view where, const TensorType& from, const WeightShape& shape,
                              const Weights& weights) {
  const Constant& weight = weights.weight;
  if (from.type != Type::I8 && from.type != Type::F32) {
    return fail("ml-bad-type", "{}: expected f32 or i8, given {}", where, describe(from).view());
  }
  if (!takes(from, shape, weight.type)) {
    return fail("ml-bad-type", "{}: weights of {} for {}", where, to_string(weight.type), describe(from).view());
  }
  const auto bytes = bytes_of(weight.type, shape.rows, shape.columns);
  if (!bytes || weight.bytes.size() != *bytes || *bytes == 0) {
    return fail(kBadWeights, "{}: {} wants weights {} [{}, {}], which are {} bytes: given {}", where,
                describe(from).view(), to_string(weight.type), shape.rows, shape.columns, bytes.value_or(0),
                weight.bytes.size());
  }
  const bool is_integer = from.type == Type::I8;
  if (!weights.bias.bytes.empty()) {
    if (const auto fit = check_row(where, "bias", weights.bias, is_integer ? Type::I32 : Type::F32, shape.outputs);
        !fit) {
      return fit;
    }
  }
  if (is_integer) {
    return check_requantisation(where, shape, weights);
  }
  if (!weights.multipliers.bytes.empty() || !weights.shifts.bytes.empty()) {
    return fail(kBadWeights, "{}: multipliers and shifts are of i8 weights, not of {}", where, to_string(weight.type));
  }
  return {};
}

std::uint16_t per_tensor_flag(const Weights& weights, std::uint32_t outputs) {
  return weights.multipliers.bytes.size() == kWordBytes && outputs != 1 ? abi::npu::command_flag::kPerTensor : 0;
}

}  // namespace guest::ml
