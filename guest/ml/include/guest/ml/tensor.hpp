// Tensors of networks that the NPU runs (docs/ml.md): what their elements are, and where they lie.
//
// There is no floating point here, as nowhere in the kernel outside of its modules: an f32 is its bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "abi/npu.hpp"
#include "guest/kernel/format.hpp"

namespace guest::ml {

/// Bits of an IEEE 754 binary32.
enum class F32 : std::uint32_t { Zero = 0, One = 0x3f80'0000, Infinity = 0x7f80'0000 };
constexpr F32 f32(std::uint32_t bits) { return F32{bits}; }
constexpr std::uint32_t bits_of(F32 number) { return static_cast<std::uint32_t>(number); }

/// What an integer q stands for: (q - zero) * scale, as TFLite has it.
struct Quantisation {
  F32 scale = F32::One;
  std::int32_t zero = 0;
  friend bool operator==(const Quantisation&, const Quantisation&) = default;
};

/// One example of a batch. A vector has a height and a width of 1.
struct Shape {
  std::uint32_t height = 1;
  std::uint32_t width = 1;
  std::uint32_t channels = 1;
  /// Below 2^63 where each is at most abi::npu::kMaxDim and the first two at most kMaxSide.
  [[nodiscard]] constexpr std::uint64_t elements() const { return std::uint64_t{height} * width * channels; }
  friend bool operator==(const Shape&, const Shape&) = default;
};
/// Height and width of what networks are made of.
inline constexpr std::uint32_t kMaxSide = 4096;
inline constexpr std::uint32_t kMaxChannels = 1U << 20;
inline constexpr std::uint32_t kMaxBatch = 1024;

struct TensorType {
  abi::npu::Type type = abi::npu::Type::F32;
  Shape shape = {};
  Quantisation quantisation = {};  ///< of integers
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// "f32", "q8_0"; "?" for what is not a type.
std::string_view to_string(abi::npu::Type type);
/// "i8 [32, 32, 8]", or "f32 [10]" of a vector.
kernel::FixedText<64> describe(const TensorType& type);
/// Of `rows` of `columns` elements one behind the other; blocks: a multiple of 32 columns. Nothing: no whole number of
/// blocks, or not below 2^63.
std::optional<std::uint64_t> bytes_of(abi::npu::Type type, std::uint64_t rows, std::uint64_t columns);

/// Where a tensor's first element lies.
struct Place {
  std::uint32_t region = abi::npu::kNoRegion;  ///< handle
  std::uint64_t offset = 0;                    ///< bytes; a multiple of the alignment of an element
};

/// Numbers that do not change: weights, biases. Their memory outlives what is made of them; it need not be aligned.
struct Constant {
  abi::npu::Type type = abi::npu::Type::F32;
  std::span<const std::byte> bytes = {};  ///< none: there is no such tensor
};

}  // namespace guest::ml
