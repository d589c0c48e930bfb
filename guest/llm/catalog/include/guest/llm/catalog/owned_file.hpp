// A file in memory that the NPU can read, for as long as somebody has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "guest/kernel/named_error.hpp"

namespace guest::llm {

/// Move only; gives its memory back when it goes. Whoever makes it writes all of its bytes.
class OwnedFile {
 public:
  /// As much as one region of the NPU may have.
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;

  /// Of no bytes.
  OwnedFile() = default;
  /// `bytes` of the kernel's heap, at least 1; what is in them is undefined. In threads. Error: llm-no-memory.
  static std::expected<OwnedFile, kernel::NamedError> make(std::uint64_t bytes);
  ~OwnedFile();
  OwnedFile(const OwnedFile&) = delete;
  OwnedFile& operator=(const OwnedFile&) = delete;
  OwnedFile(OwnedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  OwnedFile& operator=(OwnedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit OwnedFile(std::span<std::byte> bytes) : bytes_(bytes) {}

  std::span<std::byte> bytes_;
};

}  // namespace guest::llm
