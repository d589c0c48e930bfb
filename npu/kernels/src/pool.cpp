#include "npu/kernels/image.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace image = abi::npu::dim::image;
namespace param = abi::npu::param;

/// Calls write(output row, element in it, window) for each output element.
template <typename Write>
[[gnu::always_inline]] inline void each_output(const Checked& command, Units units, Write&& write) {
  each_cell(command, units, [&](std::uint64_t pixel, std::uint64_t channel) {
    const Window window = window_at(command, pixel);
    write(row_of(command.operands[operand::kOutput], window.out_row),
          window.out_column * command.dims[image::kChannels] + channel, window, channel);
  });
}

/// Calls visit(input row, element in it) for each element of a channel in a window.
template <typename Visit>
[[gnu::always_inline]] inline void each_element(const Checked& command, const Window& window, std::uint64_t channel,
                                                Visit&& visit) {
  each_tap(command, window, [&](std::uint64_t row, std::uint64_t x, std::uint64_t) {
    visit(row_of(command.operands[operand::kInput], row), x * command.dims[image::kChannels] + channel);
  });
}

std::int8_t bounded(const Checked& command, std::int64_t value) {
  const auto min = static_cast<std::int32_t>(command.params[param::kMin]);
  const auto max = static_cast<std::int32_t>(command.params[param::kMax]);
  return static_cast<std::int8_t>(value < min ? min : value > max ? max : value);
}

bool is_i8(const Checked& command) { return command.operands[operand::kOutput].type == Type::I8; }

}  // namespace

Outcome max_pool(const Checked& command, Units units) {
  each_output(command, units, [&](std::byte* output, std::uint64_t index, const Window& window, std::uint64_t channel) {
    if (is_i8(command)) {
      std::int8_t largest = -128;
      each_element(command, window, channel,
                   [&](std::byte* row, std::uint64_t i) { largest = i8(row)[i] > largest ? i8(row)[i] : largest; });
      i8(output)[index] = bounded(command, largest);
    } else {
      auto largest = static_cast<float>(-kInfinity);
      each_element(command, window, channel, [&](std::byte* row, std::uint64_t i) {
        const float value = f32(row)[i];
        largest = value > largest || is_nan(static_cast<double>(value)) ? value : largest;
      });
      f32(output)[index] = largest;
    }
  });
  return std::nullopt;
}

Outcome avg_pool(const Checked& command, Units units) {
  each_output(command, units, [&](std::byte* output, std::uint64_t index, const Window& window, std::uint64_t channel) {
    std::int64_t count = 0;
    if (is_i8(command)) {
      std::int64_t sum = 0;
      each_element(command, window, channel, [&](std::byte* row, std::uint64_t i) {
        sum += i8(row)[i];
        ++count;
      });
      // To the nearest, ties away from 0.
      i8(output)[index] = bounded(command, (sum > 0 ? sum + count / 2 : sum - count / 2) / count);
    } else {
      double sum = 0;
      each_element(command, window, channel, [&](std::byte* row, std::uint64_t i) {
        sum += static_cast<double>(f32(row)[i]);
        ++count;
      });
      f32(output)[index] = static_cast<float>(sum / static_cast<double>(count));
    }
  });
  return std::nullopt;
}

}  // namespace npu::scalar
