// Keys in files: one line of 64 hexadecimal digits in lower case.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "files.hpp"
#include "guest/llm/package/manifest.hpp"

namespace sis_model {

/// Whoever has it signs. Wiped when it goes.
class SecretKey {
 public:
  using Seed = std::array<std::uint8_t, 32>;

  /// `seed` is wiped.
  explicit SecretKey(Seed& seed);
  SecretKey(SecretKey&& other) noexcept : key_(other.key_), public_key_(other.public_key_) { other.wipe(); }
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;
  ~SecretKey() { wipe(); }

  [[nodiscard]] const guest::llm::package::PublicKey& public_key() const { return public_key_; }
  /// Ed25519 (RFC 8032).
  [[nodiscard]] guest::llm::package::Signature sign(const std::string& message) const;

 private:
  void wipe();

  std::array<std::uint8_t, 64> key_{};
  guest::llm::package::PublicKey public_key_{};
};

std::string hex_text(std::span<const std::uint8_t> bytes);

/// A new pair: `name`.key, of mode 0600, and `name`.pub. Returns the public key. Without `force` nothing is written if
/// one of them is there.
Outcome<guest::llm::package::PublicKey> make_key_pair(const std::string& name, bool force);

/// From a file that nobody but its owner may read.
Outcome<SecretKey> read_secret_key(const std::string& path);

/// `text`: hexadecimal digits, or @FILE.
Outcome<guest::llm::package::PublicKey> read_public_key(const std::string& text);

}  // namespace sis_model
