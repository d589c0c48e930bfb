// Tensors of numbers that operators compute with.
#pragma once

#include "guest/graph/numeric/numeric.hpp"
#include "inputs.hpp"

namespace guest::graph {

/// A tensor with elements, of a type that numeric:: takes, all of them finite. Errors: graph-bad-input,
/// graph-bad-value.
inline kernel::Outcome check_numbers(std::size_t port, const TensorRef& tensor) {
  if (!numeric::is_supported(tensor.info().dtype) || elements_of(tensor.info()) == 0) {
    return bad_input(port, "elements of u8, i8, u16, i16, u32, i32 or f32", tensor.info());
  }
  return check_finite(port, tensor);
}

inline numeric::Elements elements(const TensorRef& tensor) {
  return {.dtype = tensor.info().dtype, .bytes = tensor.data()};
}

}  // namespace guest::graph
