#include "abi/npu_commands.hpp"
#include "blocks.hpp"
#include "npu/kernels/requantise.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace param = abi::npu::param;
using abi::npu::kBlockElements;

/// A part of a row. Its ends are multiples of a block where a type is made of blocks.
struct Span {
  std::byte* to;
  std::byte* from;
  std::uint64_t begin;
  std::uint64_t end;
};

/// Where element `index` of a row begins.
std::uint64_t bytes_before(Type type, std::uint64_t index) {
  switch (type) {
    case Type::F16:
      return index * sizeof(std::uint16_t);
    case Type::I8:
    case Type::U8:
      return index;
    case Type::Q8_0:
      return index / kBlockElements * abi::npu::kQ8BlockBytes;
    case Type::Q4_0:
      return index / kBlockElements * abi::npu::kQ4BlockBytes;
    default:
      return index * sizeof(std::uint32_t);
  }
}

void copy_bytes(Type type, const Span& span) {
  const std::uint64_t begin = bytes_before(type, span.begin);
  __builtin_memcpy(span.to + begin, span.from + begin, bytes_before(type, span.end) - begin);
}

void from_f32_to_blocks(const Span& span) {
  for (std::uint64_t i = span.begin; i < span.end; i += kBlockElements) {
    const Block block = quantise_block(f32(span.from) + i);
    std::byte* const to = span.to + bytes_before(Type::Q8_0, i);
    *u16(to) = f32_to_f16(block.scale);
    __builtin_memcpy(to + sizeof(std::uint16_t), block.values, kBlockElements);
  }
}

/// How integers and real numbers are related: x = scale * (q - zero).
struct Affine {
  explicit Affine(const Checked& command)
      : scale(bits_to_f32(command.params[param::kScale])),
        zero(static_cast<std::int32_t>(command.params[param::kZeroPoint])) {}

  /// NaN is zero; what is beyond the limits is the nearest one.
  [[nodiscard]] std::int64_t quantise(float x, std::int64_t min, std::int64_t max) const {
    const auto ratio = static_cast<double>(x / scale);
    constexpr double kBeyond = 0x1p40;
    const double bounded = is_nan(ratio) ? 0 : ratio > kBeyond ? kBeyond : ratio < -kBeyond ? -kBeyond : ratio;
    const std::int64_t value = static_cast<std::int64_t>(round_even(bounded)) + zero;
    return value < min ? min : value > max ? max : value;
  }
  [[nodiscard]] float restore(std::int64_t q) const {
    return static_cast<float>(static_cast<double>(q - zero) * static_cast<double>(scale));
  }

  float scale;
  std::int32_t zero;
};

void quantise(const Affine& affine, Type type, const Span& span) {
  for (std::uint64_t i = span.begin; i < span.end; ++i) {
    const float x = f32(span.from)[i];
    if (type == Type::I8) {
      i8(span.to)[i] = static_cast<std::int8_t>(affine.quantise(x, -128, 127));
    } else if (type == Type::U8) {
      u8(span.to)[i] = static_cast<std::uint8_t>(affine.quantise(x, 0, 255));
    } else {
      i32(span.to)[i] = static_cast<std::int32_t>(affine.quantise(x, -0x8000'0000LL, 0x7FFF'FFFFLL));
    }
  }
}

void restore(const Affine& affine, Type type, const Span& span) {
  for (std::uint64_t i = span.begin; i < span.end; ++i) {
    const std::int64_t q = type == Type::I8   ? i8(span.from)[i]
                           : type == Type::U8 ? u8(span.from)[i]
                                              : i32(span.from)[i];
    f32(span.to)[i] = affine.restore(q);
  }
}

void convert_from_f32(const Checked& command, Type to, const Span& span) {
  if (to == Type::Q8_0) {
    from_f32_to_blocks(span);
  } else if (to == Type::F16) {
    for (std::uint64_t i = span.begin; i < span.end; ++i) {
      u16(span.to)[i] = f32_to_f16(f32(span.from)[i]);
    }
  } else {
    quantise(Affine(command), to, span);
  }
}

void convert_to_f32(const Checked& command, Type from, const Span& span) {
  if (from == Type::I8 || from == Type::U8 || from == Type::I32) {
    restore(Affine(command), from, span);
    return;
  }
  with_type(from, [&]<Type kType>() {
    for (std::uint64_t i = span.begin; i < span.end; ++i) {
      f32(span.to)[i] = element<kType>(span.from, i);
    }
  });
}

/// Between i8 and u8: the same order, 128 apart.
void move_sign(const Span& span) {
  for (std::uint64_t i = span.begin; i < span.end; ++i) {
    u8(span.to)[i] = u8(span.from)[i] ^ 0x80U;
  }
}

}  // namespace

Outcome copy(const Checked& command, Units units) {
  const Operand& output = command.operands[operand::kOutput];
  const Operand& input = command.operands[operand::kInput];
  each_row(command, units, [&](std::uint64_t row, std::uint64_t begin, std::uint64_t end) {
    const Span span = {row_of(output, row), row_of(input, row), begin, end};
    if (output.type == input.type) {
      copy_bytes(output.type, span);
    } else if (input.type == Type::F32) {
      convert_from_f32(command, output.type, span);
    } else if (output.type == Type::F32) {
      convert_to_f32(command, input.type, span);
    } else {
      move_sign(span);
    }
  });
  return std::nullopt;
}

}  // namespace npu::scalar
