// Tensors of a GGUF file (docs/models.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace guest::gguf {

/// ggml, docs/gguf.md, ggml_type: of those, what this reader takes.
enum class Type : std::uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,  ///< blocks of 32 elements: f16 scale, 16 bytes
  Q8_0 = 8,  ///< blocks of 32 elements: f16 scale, 32 x i8
  I8 = 24,
  I16 = 25,
  I32 = 26,
};

/// "F32", "Q8_0"; "unknown" for a number that is no Type.
std::string_view to_string(Type type);

/// How elements are stored along a row.
struct BlockLayout {
  std::uint32_t elements;  ///< of a block; a row has a whole number of blocks. 0: no Type
  std::uint32_t bytes;     ///< of a block
};
BlockLayout block_layout(Type type);

/// Its bytes lie in the file, and are as many as its shape asks for.
struct Tensor {
  static constexpr std::uint32_t kMaxDimensions = 4;

  std::string_view name;
  Type type = Type::F32;
  std::uint32_t dimensions = 0;  ///< 1 to kMaxDimensions
  /// extents[0] is along a row: a matrix of R rows of C elements has {C, R}. 1 beyond `dimensions`; none is 0.
  std::array<std::uint64_t, kMaxDimensions> extents{};
  std::uint64_t offset = 0;         ///< of the data in the file
  std::span<const std::byte> data;  ///< begins at a multiple of the file's alignment, from the file's first byte

  [[nodiscard]] std::uint64_t row_elements() const { return extents[0]; }
  [[nodiscard]] std::uint64_t rows() const { return extents[1] * extents[2] * extents[3]; }
  [[nodiscard]] std::uint64_t row_bytes() const;
};

}  // namespace guest::gguf
