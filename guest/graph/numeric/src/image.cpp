#include "element.hpp"

namespace guest::graph::numeric {
namespace {

/// Where an element of the new size lies between two of the old one: as in operators/src/resize.cpp, with the fraction
/// in 1/65536.
struct Place {
  std::uint32_t first;
  std::uint32_t second;
  double fraction;
};

Place place_of(std::uint32_t index, std::uint32_t size, std::uint32_t new_size) {
  const std::int64_t scaled = (2 * std::int64_t{index} + 1) * size * 32768 / new_size - 32768;
  const std::int64_t last = (std::int64_t{size} - 1) << 16;
  const std::int64_t position = scaled < 0 ? 0 : scaled > last ? last : scaled;
  const auto first = static_cast<std::uint32_t>(position >> 16);
  return {.first = first,
          .second = first + 1 < size ? first + 1 : first,
          .fraction = static_cast<double>(position & 0xffff) / 65536};
}

double between(double one, double other, double fraction) { return one * (1 - fraction) + other * fraction; }

}  // namespace

void resize_bilinear(const Image& size, std::span<const std::byte> from, const Image& new_size,
                     std::span<std::byte> to) {
  const std::byte* const in = from.data();
  const std::uint32_t channels = size.channels;
  std::size_t out = 0;
  for (std::uint32_t y = 0; y < new_size.height; ++y) {
    const Place row = place_of(y, size.height, new_size.height);
    for (std::uint32_t x = 0; x < new_size.width; ++x) {
      const Place column = place_of(x, size.width, new_size.width);
      for (std::uint32_t channel = 0; channel < channels; ++channel) {
        const auto at = [&](std::uint32_t line, std::uint32_t place) {
          return load_f32(in, (std::size_t{line} * size.width + place) * channels + channel);
        };
        const double upper = between(at(row.first, column.first), at(row.first, column.second), column.fraction);
        const double lower = between(at(row.second, column.first), at(row.second, column.second), column.fraction);
        store_f32(to.data(), out++, between(upper, lower, row.fraction));
      }
    }
  }
}

void convolve(const Image& size, const Kernel& kernel, bool replicate, std::span<const std::byte> from,
              std::span<std::byte> to) {
  const std::byte* const in = from.data();
  const auto inside = [](std::int64_t place, std::uint32_t count) {
    return place < 0 ? 0 : place >= count ? std::int64_t{count} - 1 : place;
  };
  std::size_t out = 0;
  for (std::uint32_t y = 0; y < size.height; ++y) {
    for (std::uint32_t x = 0; x < size.width; ++x) {
      for (std::uint32_t channel = 0; channel < size.channels; ++channel) {
        double sum = 0;
        for (int i = 0; i < 9; ++i) {
          const std::int64_t row = std::int64_t{y} + i / 3 - 1;
          const std::int64_t column = std::int64_t{x} + i % 3 - 1;
          const std::int64_t near_row = inside(row, size.height);
          const std::int64_t near_column = inside(column, size.width);
          if (replicate || (row == near_row && column == near_column)) {
            const auto element = static_cast<std::size_t>(near_row * size.width + near_column);
            sum += kernel.weights[i] * load_f32(in, element * size.channels + channel);
          }
        }
        store_f32(to.data(), out++, sum / kernel.divisor);
      }
    }
  }
}

}  // namespace guest::graph::numeric
