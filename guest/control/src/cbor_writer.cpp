#include <algorithm>

#include "guest/control/cbor.hpp"

namespace guest::control {

void CborWriter::put(std::span<const std::byte> data) {
  if (overflowed_ || data.size() > out_.size() - size_) {
    overflowed_ = true;
    return;
  }
  std::copy(data.begin(), data.end(), out_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += data.size();
}

void CborWriter::put_byte(unsigned value) {
  const std::byte byte{static_cast<unsigned char>(value)};
  put({&byte, 1});
}

void CborWriter::head(unsigned major, std::uint64_t value) {
  if (value < 24) {
    put_byte(major << 5 | static_cast<unsigned>(value));
    return;
  }
  const unsigned log2_bytes = value <= 0xFF ? 0 : value <= 0xFFFF ? 1 : value <= 0xFFFF'FFFF ? 2 : 3;
  put_byte(major << 5 | (24 + log2_bytes));
  for (unsigned left = 1U << log2_bytes; left > 0; --left) {
    put_byte(static_cast<unsigned>(value >> (8 * (left - 1))) & 0xFF);
  }
}

void CborWriter::number(std::uint64_t value) { head(0, value); }
void CborWriter::negative(std::uint64_t n) { head(1, n); }

void CborWriter::bytes(std::span<const std::byte> value) {
  head(2, value.size());
  put(value);
}

void CborWriter::text(std::string_view value) {
  head(3, value.size());
  put(std::as_bytes(std::span(value)));
}

void CborWriter::boolean(bool value) { put_byte(value ? 0xf5 : 0xf4); }
void CborWriter::null() { put_byte(0xf6); }
void CborWriter::raw(std::span<const std::byte> encoded) { put(encoded); }

void CborWriter::value(const CborValue& value) {
  switch (value.type) {
    case CborType::Unsigned:
      return number(value.number);
    case CborType::Negative:
      return negative(value.number);
    case CborType::Bytes:
      return bytes(value.content);
    case CborType::Text:
      return text(value.text());
    case CborType::Array:
      array(value.number);
      return raw(value.content);
    case CborType::Map:
      map(value.number);
      return raw(value.content);
    case CborType::Bool:
      return boolean(value.number != 0);
    case CborType::Null:
      return null();
  }
}

void CborWriter::entry(std::string_view key, std::uint64_t value) {
  text(key);
  number(value);
}

void CborWriter::entry(std::string_view key, std::string_view value) {
  text(key);
  text(value);
}

void CborWriter::entry_bool(std::string_view key, bool value) {
  text(key);
  boolean(value);
}

std::size_t CborWriter::begin(unsigned head_byte) {
  const std::size_t token = size_;
  put_byte(head_byte);
  put_byte(0);
  put_byte(0);
  return token;
}

void CborWriter::end(std::size_t token, std::size_t count) {
  if (count > 0xFFFF) {
    overflowed_ = true;
  }
  if (overflowed_) {
    return;
  }
  out_[token + 1] = std::byte{static_cast<unsigned char>(count >> 8)};
  out_[token + 2] = std::byte{static_cast<unsigned char>(count & 0xFF)};
}

}  // namespace guest::control
