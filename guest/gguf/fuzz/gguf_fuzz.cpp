// Any bytes: a file that is opened lies in its bytes, is found by its names, and its tensors share nothing.
#include <cstdint>
#include <cstdlib>
#include <functional>

#include "guest/gguf/file.hpp"

namespace {

using namespace guest::gguf;

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Reads everything of a value.
std::uint64_t sum(const Value& value) {
  const auto array = value.as_array();
  if (const auto text = value.as_string(); text || !array) {
    std::uint64_t total = text ? 0 : value.bits();
    for (const char c : text.value_or("")) {
      total += static_cast<unsigned char>(c);
    }
    return total;
  }
  std::uint64_t total = 0;
  if (array->element_type() == ValueType::String) {
    Strings strings = array->strings();
    std::uint64_t count = 0;
    while (const auto text = strings.next()) {
      ++count;
      for (const char c : *text) {
        total += static_cast<unsigned char>(c);
      }
    }
    expect(count == array->size());
    return total;
  }
  for (std::uint64_t i = 0; i < array->size(); ++i) {
    total += array->bits(i);
  }
  return total;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto file = File::open(bytes);
  if (!file) {
    expect(file.error().name.starts_with("gguf-") && !file.error().detail.view().empty());
    return 0;
  }
  volatile std::uint64_t total = 0;
  for (const Key& key : file->keys()) {
    expect(file->find(key.name) == &key.value);
    total = total + sum(key.value);
  }
  for (const Tensor& tensor : file->tensors()) {
    expect(file->find_tensor(tensor.name) == &tensor);
    expect(tensor.offset <= size && tensor.data.size() <= size - tensor.offset &&
           tensor.data.data() == bytes.data() + tensor.offset &&
           tensor.data.size() == tensor.rows() * tensor.row_bytes());
    for (const Tensor& other : file->tensors()) {
      expect(&other == &tensor || other.offset >= tensor.offset + tensor.data.size() ||
             tensor.offset >= other.offset + other.data.size());
    }
  }
  return 0;
}
