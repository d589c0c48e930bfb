// Arithmetic with floating point: the only kernel code that uses FP registers, and so only for threads, as operators
// are. Callers are built without them: nothing here takes or returns a floating-point number, they are in memory.
//
// Results are the same on every machine: IEEE 754 binary64 in the order of the elements, rounded to nearest even, no
// fused multiply-add and nothing reordered; what goes into an f32 is rounded once, and what is too large for one
// becomes the largest that is finite. Inputs are finite: the callers have checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/graph/tensor.hpp"

namespace guest::graph::numeric {

/// Elements of a tensor that convert to f64 without loss: u8, i8, u16, i16, u32, i32, f32.
struct Elements {
  DType dtype;
  std::span<const std::byte> bytes;
};
bool is_supported(DType dtype);

/// `values` as f32 or f64, to as many bytes as that needs.
void convert(std::span<const std::uint32_t> values, DType dtype, std::span<std::byte> to);

/// (x - min) / (max - min), all 0 where all are equal. `to` has as many f32 as there are elements, at least 1, and may
/// be the elements' own memory where those are f32.
void normalise_range(const Elements& from, std::span<std::byte> to);
/// (x - mean) / standard deviation of the population, all 0 where all are equal. The same otherwise.
void normalise_mean_std(const Elements& from, std::span<std::byte> to);

/// 255 where x * divisor >= level, else 0; a byte for each element. `to` may be the elements' own memory.
void threshold(const Elements& from, std::int64_t level, std::int64_t divisor, std::span<std::byte> to);

inline constexpr std::size_t kSummaryNumbers = 5;  ///< count, min, max, mean, variance of the population
/// The summary as f32, and behind it as many counts as there is room for: of the elements in equal parts of min to max,
/// the upper bound in the last one; all in the first one where all are equal. At least 1 element.
void statistics(const Elements& from, std::span<std::byte> to);

/// A multi-channel image in f32, or the place for one.
struct Image {
  std::uint32_t height;
  std::uint32_t width;
  std::uint32_t channels;
};
/// As resize_bilinear() of operators/src/resize.cpp says, for f32.
void resize_bilinear(const Image& size, std::span<const std::byte> from, const Image& new_size,
                     std::span<std::byte> to);

/// 3 by 3 weights, row by row, and what the sum is divided by.
struct Kernel {
  std::int8_t weights[9];
  std::uint8_t divisor;
};
/// Each channel for itself; outside of the image is its nearest element, or 0. The kernel is not mirrored.
void convolve(const Image& size, const Kernel& kernel, bool replicate, std::span<const std::byte> from,
              std::span<std::byte> to);

/// A layer of a network: y = scale * (weights * x) + biases.
struct Layer {
  std::uint32_t inputs;
  std::uint32_t outputs;
  std::span<const std::byte> scale;    ///< an f32
  std::span<const std::byte> weights;  ///< i8 [outputs, inputs]
  std::span<const std::byte> biases;   ///< f32 [outputs]
};
/// Runs a layer. `rectify`: what is negative becomes 0. f32 both, `to` elsewhere than `from`.
void run_layer(const Layer& layer, bool rectify, std::span<const std::byte> from, std::span<std::byte> to);
/// The index of the largest f32, the first one of those that are equal. At least 1.
std::uint32_t largest(std::span<const std::byte> values);
/// x / 255 as f32 of bytes.
void scale_bytes(std::span<const std::byte> from, std::span<std::byte> to);

}  // namespace guest::graph::numeric
