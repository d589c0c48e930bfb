#include "npu/kernels/image.hpp"
#include "npu/kernels/requantise.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace image = abi::npu::dim::image;
namespace param = abi::npu::param;

/// Calls multiply(input row, its element, weights' row, its element) for all that an output element is the sum of.
template <typename Multiply>
[[gnu::always_inline]] inline void each_product(const Checked& command, const Window& window, std::uint64_t channel,
                                                Multiply&& multiply) {
  const std::uint64_t in_channels = command.dims[image::kChannels];
  const std::uint64_t out_channels = command.dims[image::kOutChannels];
  const bool dense = command.opcode == abi::npu::Opcode::Conv2d;
  const std::uint64_t first = dense ? 0 : channel / (out_channels / in_channels);
  const std::uint64_t count = dense ? in_channels : 1;
  each_tap(command, window, [&](std::uint64_t row, std::uint64_t x, std::uint64_t tap) {
    std::byte* const input = row_of(command.operands[operand::kInput], row);
    std::byte* const weights = row_of(command.operands[operand::kWeight], dense ? channel : tap);
    const std::uint64_t weight = dense ? tap * in_channels : channel;
    for (std::uint64_t i = 0; i < count; ++i) {
      multiply(input, x * in_channels + first + i, weights, weight + i);
    }
  });
}

void convolve_real(const Checked& command, Units units) {
  std::byte* const bias = command.operands[operand::kBias].data;
  const bool clamps = (command.flags & abi::npu::command_flag::kClamp) != 0;
  const float min = bits_to_f32(command.params[param::kMin]);
  const float max = bits_to_f32(command.params[param::kMax]);
  each_cell(command, units, [&](std::uint64_t pixel, std::uint64_t channel) {
    const Window window = window_at(command, pixel);
    double sum = 0;
    each_product(command, window, channel, [&](std::byte* input, std::uint64_t i, std::byte* weights, std::uint64_t j) {
      sum += static_cast<double>(f32(input)[i]) * static_cast<double>(f32(weights)[j]);
    });
    sum = bias != nullptr ? sum + static_cast<double>(f32(bias)[channel]) : sum;
    const auto value = static_cast<float>(sum);
    f32_row(command.operands[operand::kOutput],
            window.out_row)[window.out_column * command.dims[image::kOutChannels] + channel] =
        clamps ? clamp(value, min, max) : value;
  });
}

void convolve_integers(const Checked& command, Units units) {
  std::byte* const bias = command.operands[operand::kBias].data;
  const auto zero = static_cast<std::int32_t>(command.params[param::kZeroIn]);
  const Requantise requantise(command);
  each_cell(command, units, [&](std::uint64_t pixel, std::uint64_t channel) {
    const Window window = window_at(command, pixel);
    std::uint32_t sum = bias != nullptr ? static_cast<std::uint32_t>(i32(bias)[channel]) : 0;
    each_product(command, window, channel, [&](std::byte* input, std::uint64_t i, std::byte* weights, std::uint64_t j) {
      sum += static_cast<std::uint32_t>((i8(input)[i] - zero) * i8(weights)[j]);
    });
    i8(row_of(command.operands[operand::kOutput],
              window.out_row))[window.out_column * command.dims[image::kOutChannels] + channel] =
        requantise(static_cast<std::int32_t>(sum), channel);
  });
}

Outcome convolve(const Checked& command, Units units) {
  if (command.operands[operand::kOutput].type == Type::I8) {
    convolve_integers(command, units);
  } else {
    convolve_real(command, units);
  }
  return std::nullopt;
}

}  // namespace

Outcome conv2d(const Checked& command, Units units) { return convolve(command, units); }

Outcome depthwise_conv2d(const Checked& command, Units units) { return convolve(command, units); }

}  // namespace npu::scalar
