#include "tensor_table.hpp"

#include "guest/gguf/file.hpp"

namespace guest::gguf {
namespace {

/// So that a tensor's bytes, at most 4 an element, fit 63 bits.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 60;

/// ggml's names of types that are not read here, by number; empty: there is no such type (any more).
std::string_view other_type(std::uint32_t number) {
  constexpr std::string_view kNames[] = {
      "",     "",     "",     "Q4_1", "",        "",       "Q5_0",    "Q5_1",  "",       "Q8_1",  "Q2_K",  "Q3_K",
      "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
      "",     "",     "",     "I64",  "F64",     "IQ1_M",  "BF16",    "",      "",       "",      "TQ1_0", "TQ2_0",
  };
  return number < std::size(kNames) ? kNames[number] : std::string_view();
}

Type read_type(Cursor& cursor, std::string_view name) {
  const std::size_t begin = cursor.at();
  const auto number = cursor.number<std::uint32_t>("a tensor's type");
  const auto type = static_cast<Type>(number);
  if (block_layout(type).elements == 0) {
    const std::string_view known = other_type(number);
    cursor.refuse(
        kernel::fail(known.empty() ? "gguf-bad-file" : "gguf-unsupported",
                     "tensor '{}' has type {}{}{} at byte {}, expected one of F32, F16, Q4_0, Q8_0, I8, I16, I32",
                     shown(name), number, known.empty() ? "" : ", ", known, begin));
    return Type::F32;
  }
  return type;
}

/// The extents multiply to the tensor's elements, which must not go beyond what a file can have.
void read_extents(Cursor& cursor, Tensor& tensor) {
  const std::size_t begin = cursor.at();
  tensor.dimensions = cursor.number<std::uint32_t>("a tensor's dimensions");
  if (tensor.dimensions == 0 || tensor.dimensions > Tensor::kMaxDimensions) {
    cursor.refuse(kernel::fail("gguf-bad-file", "tensor '{}' has {} dimensions at byte {}, expected 1 to {}",
                               shown(tensor.name), tensor.dimensions, begin, Tensor::kMaxDimensions));
    tensor.dimensions = 1;
  }
  tensor.extents.fill(1);
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < tensor.dimensions; ++i) {
    const std::size_t at = cursor.at();
    const auto extent = cursor.number<std::uint64_t>("a tensor's extent");
    if (extent == 0 || extent > kMaxElements / elements) {
      cursor.refuse(kernel::fail("gguf-bad-file", "tensor '{}' has an extent of {} at byte {}, expected 1 to {}",
                                 shown(tensor.name), extent, at, kMaxElements / elements));
      return;
    }
    tensor.extents[i] = extent;
    elements *= extent;
  }
}

}  // namespace

Tensor read_tensor(Cursor& cursor, std::uint64_t alignment) {
  Tensor tensor;
  std::size_t begin = cursor.at();
  tensor.name = cursor.text(File::kMaxTensorNameBytes, "a tensor's name");
  if (tensor.name.empty()) {
    cursor.refuse(kernel::fail("gguf-bad-file", "the name of the tensor at byte {} is empty", begin));
  }
  read_extents(cursor, tensor);
  tensor.type = read_type(cursor, tensor.name);
  if (const std::uint32_t block = block_layout(tensor.type).elements; tensor.row_elements() % block != 0) {
    cursor.refuse(kernel::fail("gguf-bad-file", "tensor '{}' of {} has rows of {} elements, expected a multiple of {}",
                               shown(tensor.name), tensor.type, tensor.row_elements(), block));
  }
  begin = cursor.at();
  tensor.offset = cursor.number<std::uint64_t>("a tensor's offset");
  if (tensor.offset % alignment != 0) {
    cursor.refuse(kernel::fail("gguf-bad-file", "tensor '{}' has offset {} at byte {}, expected a multiple of {}",
                               shown(tensor.name), tensor.offset, begin, alignment));
  }
  return tensor;
}

kernel::Outcome place_tensor(Tensor& tensor, std::span<const std::byte> file, std::uint64_t data_begin) {
  const std::uint64_t room = file.size() - data_begin;
  const std::uint64_t bytes = tensor.rows() * tensor.row_bytes();
  if (tensor.offset > room || bytes > room - tensor.offset) {
    return kernel::fail("gguf-truncated", "tensor '{}' has {} bytes from {} of the data, which has {}",
                        shown(tensor.name), bytes, tensor.offset, room);
  }
  tensor.offset += data_begin;
  tensor.data = file.subspan(tensor.offset, bytes);
  return {};
}

}  // namespace guest::gguf
