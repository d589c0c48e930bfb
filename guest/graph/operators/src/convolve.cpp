// Convolution with a kernel of 3 by 3 that is not mirrored (a correlation); each channel for itself.
//
//   box, gauss, sharpen          u8 -> u8, rounded to the nearest, halves up, bounded to 0..255
//   sobel-x, sobel-y, laplace    u8 -> i16, exact
//   all of them                  f32 -> f32, in f64, rounded once
#include <algorithm>

#include "bytes.hpp"
#include "guest/graph/numeric/numeric.hpp"
#include "image.hpp"

namespace guest::graph {
namespace {

struct NamedKernel {
  std::string_view name;
  numeric::Kernel kernel;
  bool is_signed;  ///< of u8 comes i16
};
constexpr NamedKernel kKernels[] = {
    {.name = "box", .kernel = {.weights = {1, 1, 1, 1, 1, 1, 1, 1, 1}, .divisor = 9}, .is_signed = false},
    {.name = "gauss", .kernel = {.weights = {1, 2, 1, 2, 4, 2, 1, 2, 1}, .divisor = 16}, .is_signed = false},
    {.name = "sharpen", .kernel = {.weights = {0, -1, 0, -1, 5, -1, 0, -1, 0}, .divisor = 1}, .is_signed = false},
    {.name = "sobel-x", .kernel = {.weights = {-1, 0, 1, -2, 0, 2, -1, 0, 1}, .divisor = 1}, .is_signed = true},
    {.name = "sobel-y", .kernel = {.weights = {-1, -2, -1, 0, 0, 0, 1, 2, 1}, .divisor = 1}, .is_signed = true},
    {.name = "laplace", .kernel = {.weights = {0, 1, 0, 1, -4, 1, 0, 1, 0}, .divisor = 1}, .is_signed = true},
};

class Convolve final : public OperatorCode {
 public:
  Convolve(const NamedKernel& kernel, bool replicate) : kernel_(kernel), replicate_(replicate) {}

  kernel::Outcome fire(Firing& firing) override {
    const TensorRef& input = firing.input(0);
    const TensorInfo& info = input.info();
    const auto grid = grid_of(info);
    if (!grid || (info.dtype != DType::U8 && info.dtype != DType::F32)) {
      return bad_input(0, "u8 or f32 [height, width] or [height, width, channels], with elements", info);
    }
    if (const auto checked = check_finite(0, input); !checked) {
      return checked;
    }
    const DType of_bytes = kernel_.is_signed ? DType::I16 : DType::U8;
    auto made = firing.allocate(info.dtype == DType::F32 ? DType::F32 : of_bytes, info.shape);
    if (!made) {
      return std::unexpected(made.error());
    }
    if (info.dtype == DType::F32) {
      numeric::convolve({.height = grid->height, .width = grid->width, .channels = grid->channels}, kernel_.kernel,
                        replicate_, input.data(), made->writable());
    } else {
      convolve_bytes(*grid, input.data(), made->writable());
    }
    firing.send(0, *std::move(made));
    return {};
  }

 private:
  void convolve_bytes(const Grid& grid, std::span<const std::byte> in, std::span<std::byte> out) const {
    std::size_t next = 0;
    for (std::uint32_t y = 0; y < grid.height; ++y) {
      const bool is_edge = y == 0 || y == grid.height - 1;
      for (std::uint32_t x = 0; x < grid.width; ++x) {
        const bool is_inside = !is_edge && x != 0 && x != grid.width - 1;
        for (std::uint32_t channel = 0; channel < grid.channels; ++channel) {
          const std::int32_t sum = is_inside ? sum_around(grid, in, next) : sum_at(grid, in, y, x, channel);
          if (kernel_.is_signed) {
            store(out, 2 * next, static_cast<std::int16_t>(sum));  // at most 4 * 255 from 0
          } else {
            out[next] = rounded(sum);
          }
          ++next;
        }
      }
    }
  }

  /// Where all nine elements are there: most are, and this takes a third of what sum_at() does.
  [[nodiscard]] std::int32_t sum_around(const Grid& grid, std::span<const std::byte> in, std::size_t element) const {
    const std::size_t row = std::size_t{grid.width} * grid.channels;
    const auto& weights = kernel_.kernel.weights;
    const auto value = [in](std::size_t at) { return std::to_integer<std::int32_t>(in[at]); };
    std::int32_t sum = 0;
    std::size_t at = element - row - grid.channels;
    for (std::size_t i = 0; i < std::size(weights); i += 3) {
      sum += weights[i] * value(at) + weights[i + 1] * value(at + grid.channels) +
             weights[i + 2] * value(at + std::size_t{2} * grid.channels);
      at += row;
    }
    return sum;
  }

  [[nodiscard]] std::int32_t sum_at(const Grid& grid, std::span<const std::byte> in, std::uint32_t y, std::uint32_t x,
                                    std::uint32_t channel) const {
    std::int32_t sum = 0;
    for (int i = 0; i < 9; ++i) {
      const std::int64_t row = std::int64_t{y} + i / 3 - 1;
      const std::int64_t column = std::int64_t{x} + i % 3 - 1;
      const std::int64_t near_row = std::clamp<std::int64_t>(row, 0, std::int64_t{grid.height} - 1);
      const std::int64_t near_column = std::clamp<std::int64_t>(column, 0, std::int64_t{grid.width} - 1);
      if (replicate_ || (row == near_row && column == near_column)) {
        const auto element = static_cast<std::size_t>(near_row * grid.width + near_column);
        sum += kernel_.kernel.weights[i] * std::to_integer<std::int32_t>(in[element * grid.channels + channel]);
      }
    }
    return sum;
  }

  [[nodiscard]] std::byte rounded(std::int32_t sum) const {
    const std::int32_t divisor = kernel_.kernel.divisor;
    return static_cast<std::byte>(std::clamp((2 * std::max(sum, 0) + divisor) / (2 * divisor), 0, 255));
  }

  const NamedKernel& kernel_;
  bool replicate_;
};

}  // namespace

MadeOperator make_convolve(const Parameters& parameters) {
  const std::string_view name = parameters.text("kernel");
  const auto* const found = std::ranges::find(kKernels, name, &NamedKernel::name);
  kernel::require(found != std::end(kKernels), "a kernel that may be chosen is not there");
  return make_code<Convolve>(*found, parameters.text("edge") == "replicate");
}

}  // namespace guest::graph
