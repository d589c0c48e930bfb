// Copy between types, and the rows of a table as f32; of one type, and between i32 and f32, the scalar kernel does it.
#pragma once

#include "part.hpp"
#include "quantise.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// A part of a row, which begins with a block where a type is made of them.
struct Span {
  std::byte* to;
  std::byte* from;
  std::uint64_t begin;
  std::uint64_t end;
};

inline void halves_from_floats(const Span& span) {
  MemU16* const to = u16(span.to) + span.begin;
  const MemF32* const from = f32(span.from) + span.begin;
  const std::uint64_t count = span.end - span.begin;
  for (std::uint64_t i = 0; i < count; i += kPartLanes) {
    const std::uint64_t some = count - i < kPartLanes ? count - i : kPartLanes;
    const auto value = canonical(Floats(), load_part(from + i, some));
    const hn::Rebind<std::uint16_t, Ints> bits;
    const auto half = hn::BitCast(bits, hn::DemoteTo(Halves(), value));
    if (some == kPartLanes) {
      hn::StoreU(half, bits, to + i);
      continue;
    }
    alignas(32) std::uint16_t last[kPartLanes];
    hn::Store(half, bits, last);
    for (std::uint64_t j = 0; j < some; ++j) {
      to[i + j] = last[j];
    }
  }
}

inline void floats_from_halves(const Span& span) {
  MemF32* const to = f32(span.to);
  std::uint64_t i = span.begin;
  for (; i + kLanes <= span.end; i += kLanes) {
    const Wide value = load_wide<Type::F16>(span.from, i);
    unrolled<kParts>([&] [[gnu::always_inline]] (auto p) { store_part(value.part[p], to + i + p * kPartLanes); });
  }
  if (i < span.end) {
    const Wide value = load_some<Type::F16>(span.from, i, span.end - i);
    alignas(64) float last[kLanes];
    unrolled<kParts>([&] [[gnu::always_inline]] (auto p) { store_part(value.part[p], last + p * kPartLanes); });
    for (std::uint64_t j = i; j < span.end; ++j) {
      to[j] = last[j - i];
    }
  }
}

inline void blocks_from_floats(const Span& span) {
  constexpr std::uint64_t kGroupElements = kGroup * kBlockElements;
  for (std::uint64_t i = span.begin; i < span.end; i += kGroupElements) {
    const std::uint64_t some = span.end - i < kGroupElements ? span.end - i : kGroupElements;
    BlockGroup group;
    quantise_row(f32(span.from) + i, some / kBlockElements, 0, &group);
    for (std::uint64_t j = 0; j < some / kBlockElements; ++j) {
      std::byte* const to = span.to + (i / kBlockElements + j) * abi::npu::kQ8BlockBytes;
      *u16(to) = f32_to_f16(group.scale[j][0]);
      __builtin_memcpy(to + 2, group.values[0][j], kBlockElements / 2);
      __builtin_memcpy(to + 2 + kBlockElements / 2, group.values[1][j], kBlockElements / 2);
    }
  }
}

template <Type kType>
void floats_from_blocks(const Span& span) {
  constexpr std::uint64_t kBytes = kType == Type::Q8_0 ? abi::npu::kQ8BlockBytes : abi::npu::kQ4BlockBytes;
  for (std::uint64_t i = span.begin; i < span.end; i += kBlockElements) {
    const std::byte* const block = span.from + i / kBlockElements * kBytes;
    const auto scale = hn::Set(Floats(), f16_to_f32(*u16(span.from + i / kBlockElements * kBytes)));
    alignas(32) std::int8_t values[kBlockElements];
    if constexpr (kType == Type::Q8_0) {
      __builtin_memcpy(values, block + 2, kBlockElements);
    } else {
      for (unsigned j = 0; j < kBlockElements / 2; ++j) {
        const auto pair = std::to_integer<unsigned>(block[2 + j]);
        values[j] = static_cast<std::int8_t>(static_cast<int>(pair & 0xFU) - 8);
        values[j + kBlockElements / 2] = static_cast<std::int8_t>(static_cast<int>(pair >> 4) - 8);
      }
    }
    for (unsigned j = 0; j < kBlockElements; j += kPartLanes) {
      const auto value = hn::ConvertTo(Floats(), hn::PromoteTo(Ints(), hn::Load(Bytes(), values + j)));
      store_part(hn::Mul(scale, value), f32(span.to) + i + j);
    }
  }
}

/// How bytes and real numbers are related: x = scale * (q - zero). u8 is i8 with the first bit changed.
struct AffineBytes {
  AffineBytes(const Checked& command, Type type)
      : scale(bits_to_f32(command.params[abi::npu::param::kScale])),
        zero(static_cast<std::int32_t>(command.params[abi::npu::param::kZeroPoint])),
        offset(type == Type::U8 ? 128 : 0) {}

  void quantise(const Span& span) const {
    const Floats tag;
    MemI8* const to = i8(span.to) + span.begin;
    const MemF32* const from = f32(span.from) + span.begin;
    const std::uint64_t count = span.end - span.begin;
    for (std::uint64_t i = 0; i < count; i += kPartLanes) {
      const std::uint64_t some = count - i < kPartLanes ? count - i : kPartLanes;
      const auto x = load_part(from + i, some);
      const auto ratio = hn::Div(x, hn::Set(tag, scale));
      const auto number = hn::IfThenElseZero(hn::Eq(ratio, ratio), ratio);  // NaN is zero
      const auto bounded = clamped(tag, number, -1000, 1000);
      const auto value = hn::Add(hn::NearestInt(bounded), hn::Set(Ints(), zero - offset));
      const auto sign = hn::Set(Bytes(), static_cast<std::int8_t>(-offset));
      store_bytes(hn::Xor(hn::DemoteTo(Bytes(), value), sign), to + i, some);
    }
  }

  void restore(const Span& span) const {
    const MemI8* const from = i8(span.from) + span.begin;
    MemF32* const to = f32(span.to) + span.begin;
    const std::uint64_t count = span.end - span.begin;
    for (std::uint64_t i = 0; i < count; i += kPartLanes) {
      const std::uint64_t some = count - i < kPartLanes ? count - i : kPartLanes;
      const auto signs = hn::Xor(load_bytes(from + i, some), hn::Set(Bytes(), static_cast<std::int8_t>(-offset)));
      const auto value = hn::Add(hn::PromoteTo(Ints(), signs), hn::Set(Ints(), offset - zero));
      store_part(hn::Mul(hn::ConvertTo(Floats(), value), hn::Set(Floats(), scale)), to + i, some);
    }
  }

  float scale;
  std::int32_t zero;
  std::int32_t offset;
};

/// Between i8 and u8.
inline void flip_bytes(const Span& span) {
  const MemI8* const from = i8(span.from);
  MemI8* const to = i8(span.to);
  std::uint64_t i = span.begin;
  for (; i + kManyBytes <= span.end; i += kManyBytes) {
    hn::StoreU(hn::Xor(hn::LoadU(ManyBytes(), from + i), hn::Set(ManyBytes(), -128)), ManyBytes(), to + i);
  }
  for (; i < span.end; ++i) {
    to[i] = static_cast<std::int8_t>(from[i] ^ -128);
  }
}

/// As f32, of any type that a table may have.
inline void floats_from(Type type, const Span& span) {
  if (type == Type::F16) {
    floats_from_halves(span);
  } else if (type == Type::Q8_0) {
    floats_from_blocks<Type::Q8_0>(span);
  } else if (type == Type::Q4_0) {
    floats_from_blocks<Type::Q4_0>(span);
  } else {
    const std::uint64_t at = span.begin * sizeof(float);
    __builtin_memcpy(span.to + at, span.from + at, (span.end - span.begin) * sizeof(float));
  }
}

[[gnu::always_inline]] inline bool is_byte(Type type) { return type == Type::I8 || type == Type::U8; }

inline void copy_from_f32(const Checked& command, const Span& span) {
  const Type to = command.operands[abi::npu::operand::kOutput].type;
  if (to == Type::F16) {
    halves_from_floats(span);
  } else if (to == Type::Q8_0) {
    blocks_from_floats(span);
  } else {
    AffineBytes(command, to).quantise(span);
  }
}

inline void copy_to_f32(const Checked& command, const Span& span) {
  const Type from = command.operands[abi::npu::operand::kInput].type;
  if (is_byte(from)) {
    AffineBytes(command, from).restore(span);
  } else {
    floats_from(from, span);
  }
}

Outcome copy(const Checked& command, Units units) {
  const Operand& output = command.operands[abi::npu::operand::kOutput];
  const Operand& input = command.operands[abi::npu::operand::kInput];
  if (output.type == input.type || output.type == Type::I32 || input.type == Type::I32) {
    return scalar::copy(command, units);
  }
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t begin, std::uint64_t end) {
    const Span span = {row_of(output, row), row_of(input, row), begin, end};
    if (is_byte(input.type) && is_byte(output.type)) {
      flip_bytes(span);
    } else if (input.type == Type::F32) {
      copy_from_f32(command, span);
    } else {
      copy_to_f32(command, span);
    }
  });
  return std::nullopt;
}

Outcome embed_rows(const Checked& command, Units units) {
  namespace operand = abi::npu::operand;
  namespace dim = abi::npu::dim::embed;
  const Operand& table = command.operands[operand::kTable];
  const MemI32* const ids = i32(command.operands[operand::kIds].data);
  Outcome outcome;
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    // One below 0 is above all others as an unsigned number.
    const auto id = static_cast<std::uint32_t>(fetch_index(ids + row));
    if (id >= command.dims[dim::kVocabulary]) {
      outcome = abi::npu::Reason::IndexRange;
      return;
    }
    std::byte* const to = row_of(command.operands[operand::kOutput], row);
    floats_from(table.type, {to, row_of(table, id), 0, command.dims[dim::kElements]});
  });
  return outcome;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
