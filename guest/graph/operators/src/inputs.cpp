#include "inputs.hpp"

#include "bytes.hpp"

namespace guest::graph {

kernel::FixedText<64> describe(DType dtype, const Shape& shape) {
  kernel::FixedText<64> text;
  kernel::format_to(text, "{} [", to_string(dtype));
  for (std::uint8_t i = 0; i < shape.rank; ++i) {
    kernel::format_to(text, "{}{}", i == 0 ? "" : ", ", shape.dims[i]);
  }
  text.write("]");
  return text;
}

kernel::FixedText<64> describe(const TensorInfo& info) { return describe(info.dtype, info.shape); }

std::unexpected<kernel::NamedError> bad_input(std::size_t port, std::string_view expected, const TensorInfo& given) {
  return kernel::fail("graph-bad-input", "input {}: expected {}, given {}", port, expected, describe(given).view());
}

std::uint64_t elements_of(const TensorInfo& info) {
  std::uint64_t count = 1;
  for (std::uint8_t i = 0; i < info.shape.rank; ++i) {
    count *= info.shape.dims[i];
  }
  return count;
}

std::optional<Grid> grid_of(const TensorInfo& info) {
  const Shape& shape = info.shape;
  if ((shape.rank != 2 && shape.rank != 3) || elements_of(info) == 0) {
    return std::nullopt;
  }
  return Grid{.height = shape.dims[0], .width = shape.dims[1], .channels = shape.rank == 3 ? shape.dims[2] : 1};
}

Shape resized(const Shape& like, std::uint32_t height, std::uint32_t width) {
  Shape shape = like;
  shape.dims[0] = height;
  shape.dims[1] = width;
  return shape;
}

kernel::Outcome check_finite(std::size_t port, const TensorRef& tensor) {
  if (tensor.info().dtype != DType::F32) {
    return {};
  }
  const std::span<const std::byte> data = tensor.data();
  for (std::size_t i = 0; i * sizeof(std::uint32_t) < data.size(); ++i) {
    if (!is_finite_f32(load<std::uint32_t>(data, i * sizeof(std::uint32_t)))) {
      return kernel::fail("graph-bad-value", "input {}: element {} of {} is not a finite number", port, i,
                          describe(tensor.info()).view());
    }
  }
  return {};
}

}  // namespace guest::graph
