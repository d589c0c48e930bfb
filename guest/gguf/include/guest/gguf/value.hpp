// Values of a GGUF file's metadata (docs/models.md). They refer to the file's bytes, which have been checked: nothing
// here can fail but for asking a value for what it is not.
//
// No floating point: an f32 is its bits, which whoever may use FP registers makes a number of (std::bit_cast).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace guest::gguf {

/// ggml, docs/gguf.md, gguf_metadata_value_type.
enum class ValueType : std::uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12,
};
inline constexpr std::uint32_t kValueTypes = 13;

/// "u8", "string"; "unknown" for a number that is no type.
std::string_view to_string(ValueType type);
/// Bytes of one value; 0: strings and arrays, which differ.
std::size_t value_bytes(ValueType type);
bool is_integer(ValueType type);

/// The strings of an array, one after the other.
class Strings {
 public:
  /// Nothing: that was the last one. A string is any bytes; it need not be UTF-8.
  std::optional<std::string_view> next();

 private:
  friend class Array;
  explicit Strings(std::span<const std::byte> bytes) : rest_(bytes) {}
  std::span<const std::byte> rest_;
};

/// Of one type, never of arrays. May be empty.
class Array {
 public:
  [[nodiscard]] ValueType element_type() const { return type_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Element `at`, which is below size(), of an array of anything but strings: as Value::bits().
  [[nodiscard]] std::uint64_t bits(std::uint64_t at) const;
  /// Of an array of strings.
  [[nodiscard]] Strings strings() const;

 private:
  friend class Value;
  Array(ValueType type, std::uint64_t size, std::span<const std::byte> bytes)
      : type_(type), size_(size), bytes_(bytes) {}
  ValueType type_;
  std::uint64_t size_;
  std::span<const std::byte> bytes_;
};

/// One value. Each as_...() is empty where the value is of another type.
class Value {
 public:
  constexpr Value() = default;
  /// A value whose `bytes` have been checked (src/metadata.cpp). `element_type` and `size` are of arrays.
  Value(ValueType type, std::span<const std::byte> bytes, ValueType element_type = ValueType::U8,
        std::uint64_t size = 0)
      : type_(type), element_type_(element_type), size_(size), bytes_(bytes) {}

  [[nodiscard]] ValueType type() const { return type_; }
  /// Of anything but strings and arrays: signed integers with their sign on 64 bits, floats as they are encoded, a bool
  /// as 0 or 1.
  [[nodiscard]] std::uint64_t bits() const;
  /// Any integer type, if the value is not below 0.
  [[nodiscard]] std::optional<std::uint64_t> as_unsigned() const;
  /// Any integer type, if the value is below 2^63.
  [[nodiscard]] std::optional<std::int64_t> as_signed() const;
  [[nodiscard]] std::optional<std::uint32_t> as_f32_bits() const;
  [[nodiscard]] std::optional<std::uint64_t> as_f64_bits() const;
  [[nodiscard]] std::optional<bool> as_bool() const;
  [[nodiscard]] std::optional<std::string_view> as_string() const;
  [[nodiscard]] std::optional<Array> as_array() const;

 private:
  ValueType type_ = ValueType::U8;
  ValueType element_type_ = ValueType::U8;
  std::uint64_t size_ = 0;
  std::span<const std::byte> bytes_;
};

struct Key {
  std::string_view name;
  Value value;
};

}  // namespace guest::gguf
