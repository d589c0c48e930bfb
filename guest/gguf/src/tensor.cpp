#include "guest/gguf/tensor.hpp"

namespace guest::gguf {

std::string_view to_string(Type type) {
  switch (type) {
    case Type::F32:
      return "F32";
    case Type::F16:
      return "F16";
    case Type::Q4_0:
      return "Q4_0";
    case Type::Q8_0:
      return "Q8_0";
    case Type::I8:
      return "I8";
    case Type::I16:
      return "I16";
    case Type::I32:
      return "I32";
  }
  return "unknown";
}

BlockLayout block_layout(Type type) {
  switch (type) {
    case Type::F32:
    case Type::I32:
      return {.elements = 1, .bytes = 4};
    case Type::F16:
    case Type::I16:
      return {.elements = 1, .bytes = 2};
    case Type::I8:
      return {.elements = 1, .bytes = 1};
    case Type::Q4_0:
      return {.elements = 32, .bytes = 2 + 16};
    case Type::Q8_0:
      return {.elements = 32, .bytes = 2 + 32};
  }
  return {.elements = 0, .bytes = 0};
}

std::uint64_t Tensor::row_bytes() const {
  const BlockLayout layout = block_layout(type);
  return row_elements() / layout.elements * layout.bytes;
}

}  // namespace guest::gguf
