#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "quantised.hpp"
#include "rivals.hpp"

namespace npu_bench {
namespace {

namespace operand = abi::npu::operand;
namespace image = abi::npu::dim::image;
namespace param = abi::npu::param;
using abi::npu::Opcode;
using abi::npu::Type;
using npu::Checked;

template <typename T>
using SumOf = std::conditional_t<std::is_same_v<T, float>, float, std::int32_t>;

/// A kernel whose taps lie side by side, on images that are not padded.
struct Shape {
  explicit Shape(const Checked& command)
      : height(command.dims[image::kHeight]),
        width(command.dims[image::kWidth]),
        channels(command.dims[image::kChannels]),
        out_height(command.dims[image::kOutHeight]),
        out_width(command.dims[image::kOutWidth]),
        out_channels(command.dims[image::kOutChannels]),
        kernel_height(command.dims[image::kKernelHeight]),
        kernel_width(command.dims[image::kKernelWidth]),
        down(command.dims[image::kStrideHeight]),
        across(command.dims[image::kStrideWidth]),
        rows(command.dims[image::kBatch] * out_height) {}

  std::size_t height, width, channels, out_height, out_width, out_channels, kernel_height, kernel_width, down, across;
  std::size_t rows;  ///< of the output

  /// Calls visit(output pixel, the input element where its window begins).
  template <typename Visit>
  void each_pixel(Visit&& visit) const {
    std::size_t pixel = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t top = row / out_height * height + row % out_height * down;
      for (std::size_t x = 0; x < out_width; ++x) visit(pixel++, (top * width + x * across) * channels);
    }
  }
  /// Calls visit(tap, where its channels are, from where the window begins).
  template <typename Visit>
  void each_tap(Visit&& visit) const {
    for (std::size_t tap = 0; tap < kernel_height * kernel_width; ++tap) {
      visit(tap, (tap / kernel_width * width + tap % kernel_width) * channels);
    }
  }
};

template <typename T>
std::int32_t zero_of(const Checked& command) {
  return std::is_same_v<T, float> ? 0 : static_cast<std::int32_t>(command.params[param::kZeroIn]);
}

template <typename T>
void convolve(const Checked& command) {
  const Shape shape(command);
  const auto zero = static_cast<SumOf<T>>(zero_of<T>(command));
  const std::size_t row = shape.kernel_width * shape.channels;
  shape.each_pixel([&](std::size_t pixel, std::size_t begin) {
    for (std::size_t c = 0; c < shape.out_channels; ++c) {
      SumOf<T> sum = 0;
      for (std::size_t y = 0; y < shape.kernel_height; ++y) {
        const T* const in = elements<T>(command, operand::kInput) + begin + y * shape.width * shape.channels;
        const T* const w = elements<T>(command, operand::kWeight) + (c * shape.kernel_height + y) * row;
        for (std::size_t i = 0; i < row; ++i) sum += (in[i] - zero) * w[i];
      }
      elements<T>(command, operand::kOutput)[pixel * shape.out_channels + c] = finish<T>(command, sum, c);
    }
  });
}

/// As many output channels as input channels.
template <typename T>
void convolve_each(const Checked& command) {
  const Shape shape(command);
  const auto zero = static_cast<SumOf<T>>(zero_of<T>(command));
  std::vector<SumOf<T>> sums(shape.channels);
  shape.each_pixel([&](std::size_t pixel, std::size_t begin) {
    std::ranges::fill(sums, SumOf<T>{0});
    shape.each_tap([&](std::size_t tap, std::size_t at) {
      const T* const in = elements<T>(command, operand::kInput) + begin + at;
      const T* const w = elements<T>(command, operand::kWeight) + tap * shape.channels;
      for (std::size_t c = 0; c < shape.channels; ++c) sums[c] += (in[c] - zero) * w[c];
    });
    T* const out = elements<T>(command, operand::kOutput) + pixel * shape.channels;
    for (std::size_t c = 0; c < shape.channels; ++c) out[c] = finish<T>(command, sums[c], c);
  });
}

template <typename T>
void largest(const Checked& command) {
  const Shape shape(command);
  shape.each_pixel([&](std::size_t pixel, std::size_t begin) {
    T* const out = elements<T>(command, operand::kOutput) + pixel * shape.channels;
    std::fill_n(out, shape.channels, std::numeric_limits<T>::lowest());
    shape.each_tap([&](std::size_t, std::size_t at) {
      const T* const in = elements<T>(command, operand::kInput) + begin + at;
      for (std::size_t c = 0; c < shape.channels; ++c) out[c] = std::max(out[c], in[c]);
    });
  });
}

template <typename T>
void mean(const Checked& command) {
  const Shape shape(command);
  const auto taps = static_cast<SumOf<T>>(shape.kernel_height * shape.kernel_width);
  std::vector<SumOf<T>> sums(shape.channels);
  shape.each_pixel([&](std::size_t pixel, std::size_t begin) {
    std::ranges::fill(sums, SumOf<T>{0});
    shape.each_tap([&](std::size_t, std::size_t at) {
      const T* const in = elements<T>(command, operand::kInput) + begin + at;
      for (std::size_t c = 0; c < shape.channels; ++c) sums[c] += in[c];
    });
    T* const out = elements<T>(command, operand::kOutput) + pixel * shape.channels;
    for (std::size_t c = 0; c < shape.channels; ++c) out[c] = static_cast<T>(sums[c] / taps);
  });
}

}  // namespace

Run plain_images(const Checked& command) {
  const bool i8 = command.operands[operand::kInput].type == Type::I8;
  switch (command.opcode) {
    case Opcode::Conv2d:
      return i8 ? convolve<std::int8_t> : convolve<float>;
    case Opcode::DepthwiseConv2d:
      if (command.dims[image::kChannels] != command.dims[image::kOutChannels]) return nullptr;
      return i8 ? convolve_each<std::int8_t> : convolve_each<float>;
    case Opcode::MaxPool:
      return i8 ? largest<std::int8_t> : largest<float>;
    case Opcode::AvgPool:
      return i8 ? mean<std::int8_t> : mean<float>;
    default:
      return nullptr;
  }
}

}  // namespace npu_bench
