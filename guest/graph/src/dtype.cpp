#include <algorithm>

#include "guest/graph/tensor.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::graph {
namespace {

struct Type {
  std::string_view name;
  std::uint32_t bytes;
};
/// In the order of DType.
constexpr Type kTypes[kDTypes] = {{"u8", 1},  {"i8", 1},  {"u16", 2}, {"i16", 2}, {"f16", 2}, {"u32", 4},
                                  {"i32", 4}, {"f32", 4}, {"u64", 8}, {"i64", 8}, {"f64", 8}};
static_assert(static_cast<std::size_t>(DType::F64) + 1 == kDTypes);
static_assert(kTypes[static_cast<std::size_t>(DType::F16)].name == "f16");
static_assert(kTypes[static_cast<std::size_t>(DType::F32)].name == "f32");
static_assert(kTypes[static_cast<std::size_t>(DType::U64)].name == "u64");

}  // namespace

std::uint32_t size_of(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  return index < kDTypes ? kTypes[index].bytes : 0;
}

std::string_view to_string(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  return index < kDTypes ? kTypes[index].name : "?";
}

std::optional<DType> find_dtype(std::string_view name) {
  for (std::size_t i = 0; i < kDTypes; ++i) {
    if (kTypes[i].name == name) {
      return static_cast<DType>(i);
    }
  }
  return std::nullopt;
}

bool operator==(const Shape& one, const Shape& other) {
  return one.rank == other.rank && one.rank <= Shape::kMaxRank && std::equal(one.dims, one.dims + one.rank, other.dims);
}

Shape shape_of(std::span<const std::uint32_t> dims) {
  kernel::require(dims.size() <= Shape::kMaxRank, "a shape of more than four dimensions");
  Shape shape{.rank = static_cast<std::uint8_t>(dims.size())};
  std::copy(dims.begin(), dims.end(), shape.dims);
  return shape;
}

kernel::Result<std::uint64_t> bytes_of(DType dtype, const Shape& shape) {
  std::uint64_t bytes = size_of(dtype);
  if (bytes == 0 || shape.rank > Shape::kMaxRank) {
    return std::unexpected(kernel::Status::Invalid);
  }
  // Both to the end, so that it does not depend on the order whether 0 x 2^32 x 2^32 overflows.
  bool empty = false;
  bool overflows = false;
  for (std::uint8_t i = 0; i < shape.rank; ++i) {
    empty = empty || shape.dims[i] == 0;
    overflows = __builtin_mul_overflow(bytes, shape.dims[i], &bytes) || overflows;
  }
  if (overflows && !empty) {
    return std::unexpected(kernel::Status::OutOfRange);
  }
  return empty ? 0 : bytes;
}

}  // namespace guest::graph
