// What operators say of the tensors that they are given.
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/graph/operator.hpp"
#include "guest/graph/tensor.hpp"

namespace guest::graph {

using MadeOperator = std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError>;

/// "u8 [3, 4]"
kernel::FixedText<64> describe(DType dtype, const Shape& shape);
kernel::FixedText<64> describe(const TensorInfo& info);
/// graph-bad-input: "input 0: expected u8 [height, width], given f32 [4]".
std::unexpected<kernel::NamedError> bad_input(std::size_t port, std::string_view expected, const TensorInfo& given);

/// At most the arena's bytes, so products of a few of them do not overflow.
std::uint64_t elements_of(const TensorInfo& info);

/// A tensor [height, width] or [height, width, channels] with elements.
struct Grid {
  std::uint32_t height;
  std::uint32_t width;
  std::uint32_t channels;
};
std::optional<Grid> grid_of(const TensorInfo& info);
/// `like` with another height and width.
Shape resized(const Shape& like, std::uint32_t height, std::uint32_t width);

/// Every element of an f32 tensor is a number: else graph-bad-value. Others always are.
kernel::Outcome check_finite(std::size_t port, const TensorRef& tensor);

/// An operator of type T, or graph-no-memory.
template <typename T, typename... Args>
MadeOperator make_code(Args&&... args) {
  std::unique_ptr<OperatorCode> code(new (std::nothrow) T(std::forward<Args>(args)...));
  if (code == nullptr) {
    return kernel::fail("graph-no-memory", "no {} bytes for the operator's state", sizeof(T));
  }
  return code;
}

}  // namespace guest::graph
