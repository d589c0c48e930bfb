#include "guest/ml/tensor.hpp"

#include "guest/kernel/format.hpp"

namespace guest::ml {
namespace {

using abi::npu::Type;

/// How elements lie along a row.
struct Layout {
  std::string_view name;
  std::uint32_t elements;  ///< of a block
  std::uint32_t bytes;     ///< of a block
};
constexpr Layout kLayouts[abi::npu::kTypes] = {
    {.name = "f32", .elements = 1, .bytes = 4},
    {.name = "f16", .elements = 1, .bytes = 2},
    {.name = "i8", .elements = 1, .bytes = 1},
    {.name = "i32", .elements = 1, .bytes = 4},
    {.name = "q8_0", .elements = abi::npu::kBlockElements, .bytes = abi::npu::kQ8BlockBytes},
    {.name = "q4_0", .elements = abi::npu::kBlockElements, .bytes = abi::npu::kQ4BlockBytes},
    {.name = "u8", .elements = 1, .bytes = 1},
};

}  // namespace

std::string_view to_string(Type type) {
  const auto index = static_cast<std::size_t>(type);
  return index < abi::npu::kTypes ? kLayouts[index].name : "?";
}

kernel::FixedText<64> describe(const TensorType& type) {
  kernel::FixedText<64> text;
  const Shape& shape = type.shape;
  if (shape.height == 1 && shape.width == 1) {
    kernel::format_to(text, "{} [{}]", to_string(type.type), shape.channels);
  } else {
    kernel::format_to(text, "{} [{}, {}, {}]", to_string(type.type), shape.height, shape.width, shape.channels);
  }
  return text;
}

std::optional<std::uint64_t> bytes_of(Type type, std::uint64_t rows, std::uint64_t columns) {
  const auto index = static_cast<std::size_t>(type);
  if (index >= abi::npu::kTypes || columns % kLayouts[index].elements != 0) {
    return std::nullopt;
  }
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(columns / kLayouts[index].elements, std::uint64_t{kLayouts[index].bytes}, &bytes) ||
      __builtin_mul_overflow(bytes, rows, &bytes) || bytes >= std::uint64_t{1} << 63) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace guest::ml
