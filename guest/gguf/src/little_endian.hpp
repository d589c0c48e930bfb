// Numbers in a file's bytes, wherever they lie.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>

namespace guest::gguf {

static_assert(std::endian::native == std::endian::little);

/// The number at `from`, where there are sizeof(T) bytes.
template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

}  // namespace guest::gguf
