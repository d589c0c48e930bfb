#include "metadata.hpp"

#include <algorithm>

#include "guest/gguf/file.hpp"

namespace guest::gguf {
namespace {

ValueType read_type(Cursor& cursor, std::string_view key) {
  const std::size_t begin = cursor.at();
  const auto number = cursor.number<std::uint32_t>("a value's type");
  if (number >= kValueTypes) {
    cursor.refuse(kernel::fail("gguf-bad-file", "'{}' has type {} at byte {}, expected 0 to {}", shown(key), number,
                               begin, kValueTypes - 1));
  }
  return static_cast<ValueType>(number);
}

/// A bool is a byte of 0 or 1 (ggml, docs/gguf.md).
void check_bools(Cursor& cursor, std::string_view key, std::span<const std::byte> bytes) {
  const auto wrong = std::ranges::find_if(bytes, [](std::byte byte) { return byte > std::byte{1}; });
  if (wrong != bytes.end()) {
    cursor.refuse(kernel::fail("gguf-bad-file", "'{}' has a bool of {} at byte {}, expected 0 or 1", shown(key),
                               static_cast<unsigned>(*wrong),
                               cursor.at() - static_cast<std::size_t>(bytes.end() - wrong)));
  }
}

/// `size` strings, as the bytes that they take.
std::span<const std::byte> read_strings(Cursor& cursor, std::uint64_t size) {
  Cursor ahead = cursor;
  for (std::uint64_t i = 0; i < size && !ahead.failed(); ++i) {
    ahead.text(UINT64_MAX, "a string of an array");
  }
  if (ahead.failed()) {
    cursor.refuse(ahead.error());
    return {};
  }
  return cursor.take(ahead.at() - cursor.at(), "an array of strings");
}

Value read_array(Cursor& cursor, std::string_view key) {
  const std::size_t begin = cursor.at();
  const ValueType type = read_type(cursor, key);
  if (type == ValueType::Array) {
    cursor.refuse(kernel::fail("gguf-unsupported", "'{}' is an array of arrays at byte {}: those are not read",
                               shown(key), begin));
  }
  const auto size = cursor.number<std::uint64_t>("an array's size");
  const std::uint64_t least = std::max<std::uint64_t>(value_bytes(type), type == ValueType::String ? 8 : 1);
  if (size > cursor.left() / least) {
    cursor.refuse(kernel::fail("gguf-truncated", "'{}' has {} elements of type {} at byte {}, {} bytes are left",
                               shown(key), size, type, begin, cursor.left()));
  }
  if (cursor.failed()) {
    return {};
  }
  const auto bytes =
      type == ValueType::String ? read_strings(cursor, size) : cursor.take(size * value_bytes(type), "an array");
  if (type == ValueType::Bool) {
    check_bools(cursor, key, bytes);
  }
  return {ValueType::Array, bytes, type, size};
}

Value read_value(Cursor& cursor, std::string_view key) {
  const ValueType type = read_type(cursor, key);
  if (type == ValueType::Array) {
    return read_array(cursor, key);
  }
  if (type == ValueType::String) {
    return {type, std::as_bytes(std::span(cursor.text(UINT64_MAX, "a string")))};
  }
  const auto bytes = cursor.take(value_bytes(type), "a value");
  if (type == ValueType::Bool) {
    check_bools(cursor, key, bytes);
  }
  return {type, bytes};
}

}  // namespace

Key read_key(Cursor& cursor) {
  const std::size_t begin = cursor.at();
  const std::string_view name = cursor.text(File::kMaxKeyBytes, "a key");
  if (name.empty()) {
    cursor.refuse(kernel::fail("gguf-bad-file", "the key at byte {} is empty", begin));
  }
  return {name, read_value(cursor, name)};
}

}  // namespace guest::gguf
