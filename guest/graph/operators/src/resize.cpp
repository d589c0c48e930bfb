// Resizing. Elements are squares that fill the image: the middle of new element i lies at (i + 1/2) * size / new_size
// of the old image.
//
//   nearest     the element in which it lies
//   bilinear    between the middles of its neighbours, in 1/65536 of an element; beyond the outermost middles it is the
//               outermost element. u8: rounded to the nearest, halves up; f32: in f64, rounded once
#include <cstring>

#include "guest/graph/numeric/numeric.hpp"
#include "image.hpp"

namespace guest::graph {
namespace {

constexpr std::string_view kExpected = "u8 or f32 [height, width] or [height, width, channels], sides 1 to 4096";

std::uint32_t nearest(std::uint32_t index, std::uint32_t size, std::uint32_t new_size) {
  return static_cast<std::uint32_t>((2 * std::uint64_t{index} + 1) * size / (2 * std::uint64_t{new_size}));
}

/// Between which two elements of the old image, and how much of the second, in 1/65536.
struct Place {
  std::uint32_t first;
  std::uint32_t second;
  std::uint32_t fraction;
};

Place place_of(std::uint32_t index, std::uint32_t size, std::uint32_t new_size) {
  const std::int64_t middle = (2 * std::int64_t{index} + 1) * size * 32768 / new_size - 32768;
  const std::int64_t last = (std::int64_t{size} - 1) << 16;
  const std::int64_t position = middle < 0 ? 0 : middle > last ? last : middle;
  const auto first = static_cast<std::uint32_t>(position >> 16);
  return {.first = first,
          .second = first + 1 < size ? first + 1 : first,
          .fraction = static_cast<std::uint32_t>(position & 0xffff)};
}

void resize_nearest(const Grid& from, std::size_t element, std::span<const std::byte> in, const Grid& to,
                    std::span<std::byte> out) {
  const std::size_t pixel = from.channels * element;
  std::byte* next = out.data();
  for (std::uint32_t y = 0; y < to.height; ++y) {
    const std::size_t row = std::size_t{nearest(y, from.height, to.height)} * from.width;
    for (std::uint32_t x = 0; x < to.width; ++x) {
      std::memcpy(next, in.data() + (row + nearest(x, from.width, to.width)) * pixel, pixel);
      next += pixel;
    }
  }
}

void resize_bytes(const Grid& from, std::span<const std::byte> in, const Grid& to, std::span<std::byte> out) {
  std::size_t next = 0;
  for (std::uint32_t y = 0; y < to.height; ++y) {
    const Place row = place_of(y, from.height, to.height);
    for (std::uint32_t x = 0; x < to.width; ++x) {
      const Place column = place_of(x, from.width, to.width);
      for (std::uint32_t channel = 0; channel < from.channels; ++channel) {
        const auto at = [&](std::uint32_t line, std::uint32_t place) {
          return std::to_integer<std::uint64_t>(in[(std::size_t{line} * from.width + place) * from.channels + channel]);
        };
        const auto across = [&](std::uint32_t line) {
          return at(line, column.first) * (65536 - column.fraction) + at(line, column.second) * column.fraction;
        };
        const std::uint64_t sum = across(row.first) * (65536 - row.fraction) + across(row.second) * row.fraction;
        out[next++] = static_cast<std::byte>((sum + (std::uint64_t{1} << 31)) >> 32);
      }
    }
  }
}

numeric::Image as_image(const Grid& grid) {
  return {.height = grid.height, .width = grid.width, .channels = grid.channels};
}

class Resize final : public OperatorCode {
 public:
  explicit Resize(const Parameters& parameters)
      : height_(static_cast<std::uint32_t>(parameters.integer("height"))),
        width_(static_cast<std::uint32_t>(parameters.integer("width"))),
        is_bilinear_(parameters.text("method") == "bilinear") {}

  kernel::Outcome fire(Firing& firing) override {
    const TensorRef& input = firing.input(0);
    const TensorInfo& info = input.info();
    const auto grid = grid_of(info);
    if (!grid || (info.dtype != DType::U8 && info.dtype != DType::F32) || grid->height > kMaxSide ||
        grid->width > kMaxSide) {
      return bad_input(0, kExpected, info);
    }
    if (const auto checked = check_finite(0, input); !checked) {
      return checked;
    }
    auto made = firing.allocate(info.dtype, resized(info.shape, height_, width_));
    if (!made) {
      return std::unexpected(made.error());
    }
    const Grid to{.height = height_, .width = width_, .channels = grid->channels};
    if (!is_bilinear_) {
      resize_nearest(*grid, size_of(info.dtype), input.data(), to, made->writable());
    } else if (info.dtype == DType::U8) {
      resize_bytes(*grid, input.data(), to, made->writable());
    } else {
      numeric::resize_bilinear(as_image(*grid), input.data(), as_image(to), made->writable());
    }
    firing.send(0, *std::move(made));
    return {};
  }

 private:
  std::uint32_t height_;
  std::uint32_t width_;
  bool is_bilinear_;
};

}  // namespace

MadeOperator make_resize(const Parameters& parameters) { return make_code<Resize>(parameters); }

}  // namespace guest::graph
