// Which operand, dimension and parameter of an NPU command is which (docs/npu.md, Commands). For whoever writes
// commands, checks them or runs them.
#pragma once

#include <cstdint>

#include "abi/npu.hpp"

namespace abi::npu {

/// Indexes into Command::operands. What several commands have in common; the others are numbered in their tables.
namespace operand {
inline constexpr unsigned kOutput = 0;
inline constexpr unsigned kInput = 1;
inline constexpr unsigned kWeight = 2;  ///< Gemm, norms, convolutions
inline constexpr unsigned kBias = 3;
inline constexpr unsigned kMultipliers = 4;  ///< Gemm and convolutions on i8
inline constexpr unsigned kShifts = 5;
inline constexpr unsigned kOther = 2;      ///< SwiGlu, Add, Mul: the second input
inline constexpr unsigned kPositions = 2;  ///< Rope
inline constexpr unsigned kKeys = 2;       ///< Attention
inline constexpr unsigned kValues = 3;
inline constexpr unsigned kTable = 1;  ///< EmbedRows
inline constexpr unsigned kIds = 2;
inline constexpr unsigned kIndices = 2;  ///< TopK: the second output
}  // namespace operand

/// Indexes into Command::dims.
namespace dim {
/// Of every command on rows: norms, Softmax, elementwise ones, ArgMax, TopK, Copy.
inline constexpr unsigned kRows = 0;
inline constexpr unsigned kColumns = 1;
inline constexpr unsigned kTop = 2;    ///< TopK: how many
inline constexpr unsigned kOuter = 1;  ///< Gemm: columns of the output, rows of the weights
inline constexpr unsigned kInner = 2;  ///< Gemm: what is summed over

namespace rope {
inline constexpr unsigned kHeads = 1;
inline constexpr unsigned kHeadElements = 2;
inline constexpr unsigned kRotated = 3;
}  // namespace rope

namespace attention {
inline constexpr unsigned kQueryHeads = 1;
inline constexpr unsigned kKeyHeads = 2;
inline constexpr unsigned kHeadElements = 3;
inline constexpr unsigned kPast = 4;  ///< positions before the first row; may be 0
}  // namespace attention

namespace embed {
inline constexpr unsigned kVocabulary = 1;
inline constexpr unsigned kElements = 2;
}  // namespace embed

/// Convolutions and pools.
namespace image {
inline constexpr unsigned kBatch = 0;
inline constexpr unsigned kHeight = 1;
inline constexpr unsigned kWidth = 2;
inline constexpr unsigned kChannels = 3;
inline constexpr unsigned kOutHeight = 4;
inline constexpr unsigned kOutWidth = 5;
inline constexpr unsigned kOutChannels = 6;  ///< not of pools
inline constexpr unsigned kKernelHeight = 7;
inline constexpr unsigned kKernelWidth = 8;
inline constexpr unsigned kStrideHeight = 9;
inline constexpr unsigned kStrideWidth = 10;
inline constexpr unsigned kDilation = 11;  ///< not of pools
}  // namespace image
}  // namespace dim

/// Indexes into Command::params.
namespace param {
inline constexpr unsigned kZeroIn = 0;   ///< i32: i8 Gemm and convolutions
inline constexpr unsigned kZeroOut = 1;  ///< i32
inline constexpr unsigned kMin = 2;      ///< f32 with kClamp; i32 of i8 commands
inline constexpr unsigned kMax = 3;
inline constexpr unsigned kPadTop = 4;  ///< convolutions and pools
inline constexpr unsigned kPadLeft = 5;
inline constexpr unsigned kEpsilon = 0;         ///< f32: norms
inline constexpr unsigned kScale = 0;           ///< f32: Softmax, Attention, Scale, Copy between floats and integers
inline constexpr unsigned kOffset = 1;          ///< f32: Scale
inline constexpr unsigned kZeroPoint = 1;       ///< i32: Copy
inline constexpr unsigned kRopeBase = 0;        ///< f32
inline constexpr unsigned kFrequencyScale = 1;  ///< f32
}  // namespace param

/// Of a dimension; so a product of two fits i64.
inline constexpr std::uint32_t kMaxDim = 0x7FFF'FFFF;
/// TopK's K.
inline constexpr std::uint32_t kMaxTop = 256;
/// Elements of a head in Attention.
inline constexpr std::uint32_t kMaxHeadElements = 256;

}  // namespace abi::npu
