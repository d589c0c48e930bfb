// Little-endian integers for structures that the host and the guest share.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace abi {

/// An unsigned integer stored in little-endian byte order, whatever the machine.
/// Aligned as its integer; use it in wire and ring structures so that the byte order is part of the type.
template <typename T>
class Le {
  static_assert(std::is_unsigned_v<T>);

 public:
  Le() = default;
  constexpr Le(T value) : raw_(convert(value)) {}         // NOLINT(google-explicit-constructor): reads as T
  constexpr operator T() const { return convert(raw_); }  // NOLINT(google-explicit-constructor)
  constexpr T value() const { return convert(raw_); }

 private:
  static constexpr T convert(T value) {
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
      return value;
    } else {
      T out = 0;
      for (unsigned i = 0; i < sizeof(T); ++i) out = static_cast<T>((out << 8) | ((value >> (8 * i)) & 0xFF));
      return out;
    }
  }

  T raw_;
};

using Le16 = Le<std::uint16_t>;
using Le32 = Le<std::uint32_t>;
using Le64 = Le<std::uint64_t>;

/// The same with an alignment of one byte, for structures in which the field is not naturally aligned.
template <typename T>
class UnalignedLe {
  static_assert(std::is_unsigned_v<T>);

 public:
  UnalignedLe() = default;
  constexpr UnalignedLe(T value) {  // NOLINT(google-explicit-constructor): reads as T
    for (unsigned i = 0; i < sizeof(T); ++i) bytes_[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  constexpr operator T() const {  // NOLINT(google-explicit-constructor)
    T value = 0;
    for (unsigned i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<T>(bytes_[i]) << (8 * i));
    return value;
  }

 private:
  std::uint8_t bytes_[sizeof(T)];
};

using UnalignedLe64 = UnalignedLe<std::uint64_t>;

static_assert(sizeof(Le16) == 2 && alignof(Le16) == 2 && std::is_trivially_copyable_v<Le16>);
static_assert(sizeof(Le32) == 4 && alignof(Le32) == 4 && std::is_standard_layout_v<Le32>);
static_assert(sizeof(Le64) == 8 && alignof(Le64) == 8 && std::is_trivially_default_constructible_v<Le64>);
static_assert(sizeof(UnalignedLe64) == 8 && alignof(UnalignedLe64) == 1 && std::is_trivially_copyable_v<UnalignedLe64>);
static_assert(UnalignedLe64(0x0102030405060708) == 0x0102030405060708);

}  // namespace abi
