// What the commands of version 0 are made of: the fields of a frame, and the words of a command of the table.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "abi/endian.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"
#include "version0.hpp"

namespace guest::control {

/// There is one, without a name in frames.
inline constexpr std::string_view kVersion0Graph = "v0";

/// The payload of a frame, taken from the front. Whoever takes has seen that it is there.
class Version0::Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  std::uint8_t u8() { return take<std::uint8_t>(); }
  std::uint16_t u16() { return take<abi::Le16>(); }
  std::uint32_t u32() { return take<abi::Le32>(); }
  std::uint64_t u64() { return take<abi::Le64>(); }
  /// What is left.
  [[nodiscard]] std::string_view text() const {
    // Bytes that a client sent as text.
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

 private:
  template <typename T>
  T take() {
    std::array<std::byte, sizeof(T)> raw{};
    kernel::require(bytes_.size() >= raw.size(), "a field of version 0 is read that was not checked");
    std::copy_n(bytes_.begin(), raw.size(), raw.begin());
    bytes_ = bytes_.subspan(raw.size());
    return std::bit_cast<T>(raw);
  }

  std::span<const std::byte> bytes_;
};

/// The words of a command, as the shell would have them.
class Version0::Words {
 public:
  enum class Of : std::uint8_t { Graph, Nothing };
  explicit Words(Of of = Of::Graph) {
    if (of == Of::Graph) {
      add("graph", kVersion0Graph);
    }
  }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;
  template <typename T>
  void add(std::string_view argument, const T& value) {
    kernel::require(size_ < texts_.size(), "a command of version 0 has more arguments");
    kernel::FixedText<kMaxWord>& text = texts_[size_];
    kernel::format_to(text, "--{}={}", argument, value);
    views_[size_++] = text.view();
  }
  /// A value of any length and bytes, which outlives this.
  void add_text(std::string_view argument, std::string_view value) {
    kernel::require(size_ + 2 <= texts_.size(), "a command of version 0 has more arguments");
    kernel::format_to(texts_[size_], "--{}", argument);
    views_[size_] = texts_[size_].view();
    views_[size_ + 1] = value;
    size_ += 2;
  }
  [[nodiscard]] std::span<const std::string_view> views() const { return std::span(views_).first(size_); }

 private:
  static constexpr std::size_t kMaxWord = 64;  ///< the longest: "--out_schema=" and a name of 32 bytes
  std::array<kernel::FixedText<kMaxWord>, kMaxArguments> texts_;
  std::array<std::string_view, kMaxArguments> views_;
  std::size_t size_ = 0;
};

}  // namespace guest::control
