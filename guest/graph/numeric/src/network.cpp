#include "element.hpp"

namespace guest::graph::numeric {

void run_layer(const Layer& layer, bool rectify, std::span<const std::byte> from, std::span<std::byte> to) {
  const double scale = load_f32(layer.scale.data(), 0);
  for (std::uint32_t row = 0; row < layer.outputs; ++row) {
    const std::byte* const weights = layer.weights.data() + std::size_t{row} * layer.inputs;
    double sum = 0;
    for (std::uint32_t i = 0; i < layer.inputs; ++i) {
      sum += static_cast<double>(load_as<std::int8_t>(weights + i)) * load_f32(from.data(), i);
    }
    const double value = sum * scale + load_f32(layer.biases.data(), row);
    store_f32(to.data(), row, rectify && value < 0 ? 0 : value);
  }
}

std::uint32_t largest(std::span<const std::byte> values) {
  std::uint32_t found = 0;
  for (std::uint32_t i = 1; i < values.size() / sizeof(float); ++i) {
    if (load_f32(values.data(), i) > load_f32(values.data(), found)) {
      found = i;
    }
  }
  return found;
}

}  // namespace guest::graph::numeric
