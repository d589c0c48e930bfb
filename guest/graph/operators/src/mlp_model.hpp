// Files of small dense networks. Everything is little-endian; nothing is aligned.
//
//   "SISMLP1\n"  u32 layers, 1 to 4
//   each layer:  u32 inputs, u32 outputs, f32 scale, i8 weights[outputs][inputs], f32 biases[outputs]
//
// A layer is y = scale * (weights * x) + biases; all but the last are rectified. A layer's inputs are the outputs of
// the one before it. Nothing follows the last one.
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "guest/graph/numeric/numeric.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::graph {

struct MlpModel {
  static constexpr std::uint32_t kMaxLayers = 4;
  static constexpr std::uint32_t kMaxInputs = 65'536;  ///< of the first layer
  static constexpr std::uint32_t kMaxOutputs = 1024;   ///< of any

  kernel::BoundedArray<numeric::Layer, kMaxLayers> layers;  ///< refer to the file
  [[nodiscard]] std::uint32_t inputs() const { return layers[0].inputs; }
  [[nodiscard]] std::uint32_t classes() const { return layers[layers.size() - 1].outputs; }
};

/// The model in `file`, which outlives it. All numbers are finite. Errors: graph-bad-model, which says what was
/// expected where.
std::expected<MlpModel, kernel::NamedError> read_mlp(std::span<const std::byte> file);

}  // namespace guest::graph
