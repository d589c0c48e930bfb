// DepthwiseConv2d and pools: a vector of channels of one pixel at a time, in the order of the taps.
#pragma once

#include "image.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

namespace image = abi::npu::dim::image;

/// Input channels of output channels [channel, channel + count), which are channel / multiple and so on.
[[gnu::always_inline]] inline FloatPart load_inputs(const MemF32* pixel, std::uint64_t channel, std::uint64_t count,
                                                    std::uint64_t multiple) {
  if (multiple == 1) {
    return load_part(pixel + channel, count);
  }
  alignas(64) float some[kPartLanes] = {};
  for (std::uint64_t i = 0; i < count; ++i) {
    some[i] = pixel[(channel + i) / multiple];
  }
  return hn::Load(Floats(), some);
}

/// i8 as i32.
[[gnu::always_inline]] inline IntPart load_ints(const MemI8* from, std::uint64_t channel, std::uint64_t count,
                                                std::uint64_t multiple) {
  if (multiple == 1) {
    return hn::PromoteTo(Ints(), load_bytes(from + channel, count));
  }
  alignas(16) std::int8_t some[kLanes] = {};
  for (std::uint64_t i = 0; i < count; ++i) {
    some[i] = from[(channel + i) / multiple];
  }
  return hn::PromoteTo(Ints(), hn::Load(Bytes(), some));
}

/// Calls visit(window, first channel, how many) for each vector of channels of each pixel.
template <typename Visit>
[[gnu::always_inline]] inline void each_channels(const Checked& command, Units units, Visit&& visit) {
  each_run(command, units, [&] [[gnu::always_inline]] (const Tile& tile) {
    for (std::uint64_t pixel = tile.row_begin; pixel < tile.row_end; ++pixel) {
      const Window window = window_at(command, pixel);
      for (std::uint64_t channel = tile.column_begin; channel < tile.column_end; channel += kPartLanes) {
        visit(window, channel, tile.column_end - channel < kPartLanes ? tile.column_end - channel : kPartLanes);
      }
    }
  });
}

inline void depthwise_real(const Checked& command, Units units) {
  namespace operand = abi::npu::operand;
  const std::uint64_t inputs = command.dims[image::kChannels];
  const std::uint64_t outputs = command.dims[image::kOutChannels];
  std::byte* const bias = command.operands[operand::kBias].data;
  const bool clamps = (command.flags & abi::npu::command_flag::kClamp) != 0;
  const float min = bits_to_f32(command.params[abi::npu::param::kMin]);
  const float max = bits_to_f32(command.params[abi::npu::param::kMax]);
  each_channels(
      command, units, [&] [[gnu::always_inline]] (const Window& window, std::uint64_t channel, std::uint64_t count) {
        auto sum = hn::Zero(Floats());
        visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t tap) {
          const auto input = load_inputs(f32(row) + x * inputs, channel, count, outputs / inputs);
          const auto weight = load_inputs(f32_row(command.operands[operand::kWeight], tap), channel, count, 1);
          sum = hn::MulAdd(input, weight, sum);
        });
        if (bias != nullptr) {
          sum = hn::Add(sum, load_inputs(f32(bias), channel, count, 1));
        }
        const auto value = clamps ? clamped(Floats(), sum, min, max) : sum;
        store_part(value, pixel_of<MemF32>(command.operands[operand::kOutput], window, outputs) + channel, count);
      });
}

inline void depthwise_integers(const Checked& command, Units units) {
  namespace operand = abi::npu::operand;
  const std::uint64_t inputs = command.dims[image::kChannels];
  const std::uint64_t outputs = command.dims[image::kOutChannels];
  std::byte* const bias = command.operands[operand::kBias].data;
  const auto zero = hn::Set(Ints(), static_cast<std::int32_t>(command.params[abi::npu::param::kZeroIn]));
  const RequantiseRow requantise(command);
  each_channels(
      command, units, [&] [[gnu::always_inline]] (const Window& window, std::uint64_t channel, std::uint64_t count) {
        alignas(64) std::int32_t sums[kLanes] = {};
        for (std::uint64_t i = 0; i < count && bias != nullptr; ++i) {
          sums[i] = i32(bias)[channel + i];
        }
        auto sum = hn::Load(Ints(), sums);
        visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t tap) {
          const auto input = load_ints(i8(row) + x * inputs, channel, count, outputs / inputs);
          const auto weight = load_ints(i8(row_of(command.operands[operand::kWeight], tap)), channel, count, 1);
          sum = hn::Add(sum, hn::Mul(hn::Sub(input, zero), weight));
        });
        hn::Store(sum, Ints(), sums);
        requantise.write(sums, channel, count,
                         pixel_of<MemI8>(command.operands[operand::kOutput], window, outputs) + channel);
      });
}

Outcome depthwise_conv2d(const Checked& command, Units units) {
  if (command.operands[abi::npu::operand::kOutput].type == Type::F32) {
    depthwise_real(command, units);
  } else {
    depthwise_integers(command, units);
  }
  return std::nullopt;
}

Outcome max_pool(const Checked& command, Units units) {
  const Operand& output = command.operands[abi::npu::operand::kOutput];
  const std::uint64_t channels = command.dims[image::kChannels];
  const auto min = hn::Set(Ints(), static_cast<std::int32_t>(command.params[abi::npu::param::kMin]));
  const auto max = hn::Set(Ints(), static_cast<std::int32_t>(command.params[abi::npu::param::kMax]));
  each_channels(
      command, units, [&] [[gnu::always_inline]] (const Window& window, std::uint64_t channel, std::uint64_t count) {
        if (output.type == Type::I8) {
          auto largest = hn::Set(Ints(), -128);
          visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t) {
            largest = hn::Max(largest, load_ints(i8(row) + x * channels, channel, count, 1));
          });
          const auto bounded = hn::Min(hn::Max(largest, min), max);
          store_bytes(hn::DemoteTo(Bytes(), bounded), pixel_of<MemI8>(output, window, channels) + channel, count);
          return;
        }
        auto largest = hn::Set(Floats(), static_cast<float>(-kInfinity));
        visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t) {
          const auto value = load_inputs(f32(row) + x * channels, channel, count, 1);
          // A NaN is taken, and left for none: no number is larger.
          const auto is_nan = hn::Not(hn::Eq(value, value));  // Ne is false of NaN on x86, true on Arm
          largest = hn::IfThenElse(hn::Or(hn::Gt(value, largest), is_nan), value, largest);
        });
        store_part(largest, pixel_of<MemF32>(output, window, channels) + channel, count);
      });
  return std::nullopt;
}

/// The largest window of i8 whose sums are numbers of f32, and its quotients far enough from the next integer: a
/// quotient below 2^24 of two integers never rounds up to one.
inline constexpr std::uint64_t kMostTaps = 65536;

/// The mean to the nearest, ties away from 0.
inline void average_integers(const Checked& command, Units units) {
  const Operand& output = command.operands[abi::npu::operand::kOutput];
  const std::uint64_t channels = command.dims[image::kChannels];
  const auto min = hn::Set(Ints(), static_cast<std::int32_t>(command.params[abi::npu::param::kMin]));
  const auto max = hn::Set(Ints(), static_cast<std::int32_t>(command.params[abi::npu::param::kMax]));
  each_channels(
      command, units, [&] [[gnu::always_inline]] (const Window& window, std::uint64_t channel, std::uint64_t count) {
        auto sum = hn::Zero(Ints());
        std::int32_t taps = 0;
        visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t) {
          sum = hn::Add(sum, load_ints(i8(row) + x * channels, channel, count, 1));
          taps += 1;
        });
        const auto half = hn::Set(Ints(), taps / 2);
        const auto away = hn::IfThenElse(hn::Gt(sum, hn::Zero(Ints())), hn::Add(sum, half), hn::Sub(sum, half));
        const auto ratio = hn::Div(hn::ConvertTo(Floats(), away), hn::Set(Floats(), static_cast<float>(taps)));
        const auto bounded = hn::Min(hn::Max(hn::ConvertTo(Ints(), ratio), min), max);
        store_bytes(hn::DemoteTo(Bytes(), bounded), pixel_of<MemI8>(output, window, channels) + channel, count);
      });
}

Outcome avg_pool(const Checked& command, Units units) {
  const Operand& output = command.operands[abi::npu::operand::kOutput];
  if (output.type == Type::I8) {
    if (std::uint64_t{command.dims[image::kKernelHeight]} * command.dims[image::kKernelWidth] > kMostTaps) {
      return scalar::avg_pool(command, units);
    }
    average_integers(command, units);
    return std::nullopt;
  }
  const std::uint64_t channels = command.dims[image::kChannels];
  each_channels(
      command, units, [&] [[gnu::always_inline]] (const Window& window, std::uint64_t channel, std::uint64_t count) {
        auto sum = hn::Zero(Floats());
        float taps = 0;
        visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t) {
          sum = hn::Add(sum, load_inputs(f32(row) + x * channels, channel, count, 1));
          taps += 1;
        });
        store_part(hn::Div(sum, hn::Set(Floats(), taps)), pixel_of<MemF32>(output, window, channels) + channel, count);
      });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
