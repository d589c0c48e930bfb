#include "guest/gguf/value.hpp"

#include "guest/kernel/panic.hpp"
#include "little_endian.hpp"

namespace guest::gguf {
namespace {

struct TypeFacts {
  std::string_view name;
  std::uint8_t bytes;
  bool integer;
};
constexpr TypeFacts kFacts[] = {
    {"u8", 1, true},  {"i8", 1, true},   {"u16", 2, true},   {"i16", 2, true},     {"u32", 4, true},
    {"i32", 4, true}, {"f32", 4, false}, {"bool", 1, false}, {"string", 0, false}, {"array", 0, false},
    {"u64", 8, true}, {"i64", 8, true},  {"f64", 8, false},
};
static_assert(std::size(kFacts) == kValueTypes);

constexpr TypeFacts facts(ValueType type) {
  const auto number = static_cast<std::uint32_t>(type);
  return number < kValueTypes ? kFacts[number] : TypeFacts{"unknown", 0, false};
}

template <typename T>
std::uint64_t sign_extended(const std::byte* from) {
  return static_cast<std::uint64_t>(std::int64_t{load<T>(from)});
}

std::uint64_t bits_at(ValueType type, const std::byte* from) {
  switch (type) {
    case ValueType::I8:
      return sign_extended<std::int8_t>(from);
    case ValueType::I16:
      return sign_extended<std::int16_t>(from);
    case ValueType::I32:
      return sign_extended<std::int32_t>(from);
    case ValueType::U8:
    case ValueType::Bool:
      return load<std::uint8_t>(from);
    case ValueType::U16:
      return load<std::uint16_t>(from);
    case ValueType::U32:
    case ValueType::F32:
      return load<std::uint32_t>(from);
    case ValueType::U64:
    case ValueType::I64:
    case ValueType::F64:
      return load<std::uint64_t>(from);
    case ValueType::String:
    case ValueType::Array:
      break;
  }
  kernel::panic("a GGUF value of no fixed size is no number");
}

bool is_signed(ValueType type) {
  return type == ValueType::I8 || type == ValueType::I16 || type == ValueType::I32 || type == ValueType::I64;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // char aliases anything
}

}  // namespace

std::string_view to_string(ValueType type) { return facts(type).name; }
std::size_t value_bytes(ValueType type) { return facts(type).bytes; }
bool is_integer(ValueType type) { return facts(type).integer; }

std::optional<std::string_view> Strings::next() {
  if (rest_.empty()) {
    return std::nullopt;
  }
  // Lengths were checked when the file was opened.
  const auto length = load<std::uint64_t>(rest_.data());
  const auto text = rest_.subspan(sizeof(length), length);
  rest_ = rest_.subspan(sizeof(length) + length);
  return text_of(text);
}

std::uint64_t Array::bits(std::uint64_t at) const {
  kernel::require(at < size_, "an index beyond the end of a GGUF array");
  return bits_at(type_, bytes_.data() + at * value_bytes(type_));
}

Strings Array::strings() const {
  kernel::require(type_ == ValueType::String, "a GGUF array of something else was read as strings");
  return Strings(bytes_);
}

std::uint64_t Value::bits() const { return bits_at(type_, bytes_.data()); }

std::optional<std::uint64_t> Value::as_unsigned() const {
  if (!is_integer(type_) || (is_signed(type_) && static_cast<std::int64_t>(bits()) < 0)) {
    return std::nullopt;
  }
  return bits();
}

std::optional<std::int64_t> Value::as_signed() const {
  if (!is_integer(type_) || (!is_signed(type_) && bits() > INT64_MAX)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(bits());
}

std::optional<std::uint32_t> Value::as_f32_bits() const {
  return type_ == ValueType::F32 ? std::optional(static_cast<std::uint32_t>(bits())) : std::nullopt;
}

std::optional<std::uint64_t> Value::as_f64_bits() const {
  return type_ == ValueType::F64 ? std::optional(bits()) : std::nullopt;
}

std::optional<bool> Value::as_bool() const {
  return type_ == ValueType::Bool ? std::optional(bits() != 0) : std::nullopt;
}

std::optional<std::string_view> Value::as_string() const {
  return type_ == ValueType::String ? std::optional(text_of(bytes_)) : std::nullopt;
}

std::optional<Array> Value::as_array() const {
  return type_ == ValueType::Array ? std::optional(Array(element_type_, size_, bytes_)) : std::nullopt;
}

}  // namespace guest::gguf
