// SHA-256 (FIPS 180-4) of a file that comes in pieces, by libsodium.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace guest::llm::package {

using Digest = std::array<std::uint8_t, 32>;

/// Threads and host programs only: libsodium's code may use FP registers.
class FileHash {
 public:
  FileHash();

  /// The bytes that come next; of any number.
  void add(std::span<const std::byte> bytes);
  /// Of all bytes so far. Once; nothing may be added behind it.
  [[nodiscard]] Digest finish();

 private:
  /// libsodium's crypto_hash_sha256_state: its header stays out of ours.
  static constexpr std::size_t kStateBytes = 104;
  alignas(8) std::array<std::byte, kStateBytes> state_{};
};

}  // namespace guest::llm::package
