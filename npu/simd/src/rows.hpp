// ArgMax and TopK.
#pragma once

#include "norm.hpp"
#include "npu/kernels/largest.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// The first element that equals `value`; 0 if there is none, as in a row of NaN.
inline std::int32_t find(const MemF32* x, std::uint64_t count, float value) {
  const Floats tag;
  const std::uint64_t whole = count - count % kPartLanes;
  for (std::uint64_t i = 0; i < whole; i += kPartLanes) {
    const std::intptr_t found = hn::FindFirstTrue(tag, hn::Eq(load_part(x + i), hn::Set(tag, value)));
    if (found >= 0) {
      return static_cast<std::int32_t>(i) + static_cast<std::int32_t>(found);
    }
  }
  for (std::uint64_t i = whole; i < count; ++i) {
    if (x[i] == value) {
      return static_cast<std::int32_t>(i);
    }
  }
  return 0;
}

inline std::int8_t largest_of(const MemI8* x, std::uint64_t count) {
  const std::uint64_t whole = count - count % kManyBytes;
  auto largest = hn::Set(ManyBytes(), -128);
  for (std::uint64_t i = 0; i < whole; i += kManyBytes) {
    largest = hn::Max(largest, hn::LoadU(ManyBytes(), x + i));
  }
  alignas(64) std::int8_t lane[kManyBytes];
  hn::Store(largest, ManyBytes(), lane);
  std::int8_t result = -128;
  for (const std::int8_t each : lane) {
    result = each > result ? each : result;
  }
  for (std::uint64_t i = whole; i < count; ++i) {
    result = x[i] > result ? x[i] : result;
  }
  return result;
}

/// The first element that equals `value`; 0 if somebody has changed it meanwhile.
inline std::int32_t find(const MemI8* x, std::uint64_t count, std::int8_t value) {
  const std::uint64_t whole = count - count % kManyBytes;
  for (std::uint64_t i = 0; i < whole; i += kManyBytes) {
    const auto equal = hn::Eq(hn::LoadU(ManyBytes(), x + i), hn::Set(ManyBytes(), value));
    const std::intptr_t found = hn::FindFirstTrue(ManyBytes(), equal);
    if (found >= 0) {
      return static_cast<std::int32_t>(i) + static_cast<std::int32_t>(found);
    }
  }
  for (std::uint64_t i = whole; i < count; ++i) {
    if (x[i] == value) {
      return static_cast<std::int32_t>(i);
    }
  }
  return 0;
}

Outcome arg_max(const Checked& command, Units units) {
  const Operand& input = command.operands[abi::npu::operand::kInput];
  const std::uint64_t count = command.dims[abi::npu::dim::kColumns];
  MemI32* const output = i32(command.operands[abi::npu::operand::kOutput].data);
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    if (input.type == Type::I8) {
      const MemI8* const x = i8(row_of(input, row));
      output[row] = find(x, count, largest_of(x, count));
    } else {
      const MemF32* const x = f32_row(input, row);
      output[row] = find(x, count, largest_of(x, count, 1));
    }
  });
  return std::nullopt;
}

/// A vector none of which would stay is left out; of the others each is offered, as the scalar kernel does.
Outcome top_k(const Checked& command, Units units) {
  namespace operand = abi::npu::operand;
  const std::uint64_t count = command.dims[abi::npu::dim::kColumns];
  const std::uint64_t capacity = command.dims[abi::npu::dim::kTop];
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    Largest largest(f32_row(command.operands[operand::kOutput], row),
                    i32(row_of(command.operands[operand::kIndices], row)), capacity);
    const auto offer = [&](std::uint64_t begin, std::uint64_t end) {
      for (std::uint64_t i = begin; i < end; ++i) {
        largest.offer(x[i], static_cast<std::int32_t>(i));
      }
    };
    offer(0, capacity);
    std::uint64_t i = capacity;
    for (; i + kPartLanes <= count; i += kPartLanes) {
      if (!hn::AllTrue(Floats(), hn::Le(load_part(x + i), hn::Set(Floats(), largest.least())))) {
        offer(i, i + kPartLanes);
      }
    }
    offer(i, count);
    largest.sort();
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
