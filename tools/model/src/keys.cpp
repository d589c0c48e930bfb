#include "keys.hpp"

#include <sodium.h>

#include <filesystem>
#include <stdexcept>

#include "guest/llm/package/hex.hpp"
#include "guest/llm/package/verifier.hpp"

namespace sis_model {
namespace {

namespace package = guest::llm::package;
using package::PublicKey;

constexpr std::size_t kDigits = 64;
static_assert(crypto_sign_ed25519_SEEDBYTES == sizeof(SecretKey::Seed));

/// A key file's digits, without the line feed, of which there may be one.
Outcome<std::string> read_digits(const std::string& path, const char* what) {
  auto text = read_whole(path, kDigits + 2);
  if (!text) return text;
  if (text->ends_with('\n')) text->pop_back();
  if (text->size() != kDigits) {
    return unusable("key", path + ": " + std::to_string(text->size()) + " bytes in its line, expected 64 hexadecimal " +
                               "digits: " + what + " that `sis-model keygen` wrote");
  }
  return text;
}

void wipe_text(std::string& text) { sodium_memzero(text.data(), text.size()); }

}  // namespace

SecretKey::SecretKey(Seed& seed) {
  static_assert(crypto_sign_ed25519_SECRETKEYBYTES == sizeof(key_));
  crypto_sign_ed25519_seed_keypair(public_key_.data(), key_.data(), seed.data());
  sodium_memzero(seed.data(), seed.size());
}

void SecretKey::wipe() { sodium_memzero(key_.data(), key_.size()); }

package::Signature SecretKey::sign(const std::string& message) const {
  package::Signature signature{};
  // unsigned char is what libsodium takes; it may alias any object.
  crypto_sign_ed25519_detached(signature.data(), nullptr, reinterpret_cast<const unsigned char*>(message.data()),
                               message.size(), key_.data());
  return signature;
}

std::string hex_text(std::span<const std::uint8_t> bytes) {
  guest::kernel::FixedText<256> text;
  package::write_hex(text, bytes);
  return std::string(text.view());
}

Outcome<PublicKey> make_key_pair(const std::string& name, bool force) {
  if (sodium_init() < 0) throw std::runtime_error("libsodium cannot be initialised");
  const std::string public_path = name + ".pub";
  std::error_code ignored;
  if (!force && std::filesystem::exists(std::filesystem::symlink_status(public_path, ignored))) {
    return unusable("file", public_path + " is there already; --force replaces it");
  }
  SecretKey::Seed seed;
  randombytes_buf(seed.data(), seed.size());
  std::string digits = hex_text(seed) + "\n";
  const SecretKey key(seed);
  auto written = write_whole(name + ".key", digits, force, 0600);
  wipe_text(digits);
  if (!written) return std::unexpected(std::move(written.error()));
  if (written = write_whole(public_path, hex_text(key.public_key()) + "\n", force); !written) {
    std::filesystem::remove(name + ".key", ignored);
    return std::unexpected(std::move(written.error()));
  }
  return key.public_key();
}

Outcome<SecretKey> read_secret_key(const std::string& path) {
  using std::filesystem::perms;
  std::error_code error;
  const auto mode = std::filesystem::status(path, error).permissions();
  if (!error && (mode & (perms::group_all | perms::others_all)) != perms::none) {
    return unusable("key", path + " can be read or written by others than its owner: chmod 600 " + path);
  }
  auto digits = read_digits(path, "a secret key");
  if (!digits) return std::unexpected(std::move(digits.error()));
  SecretKey::Seed seed;
  const bool good = package::read_hex(*digits, seed);
  wipe_text(*digits);
  if (!good) return unusable("key", path + ": expected 64 hexadecimal digits in lower case");
  return SecretKey(seed);
}

Outcome<PublicKey> read_public_key(const std::string& text) {
  std::string digits = text;
  std::string where = "--public-key";
  if (text.starts_with('@')) {
    where = text.substr(1);
    auto read = read_digits(where, "a public key");
    if (!read) return std::unexpected(std::move(read.error()));
    digits = *std::move(read);
  }
  PublicKey key;
  if (!package::read_hex(digits, key)) {
    return unusable("key", where + ": expected 64 hexadecimal digits in lower case");
  }
  if (!package::is_valid_key(key)) return unusable("key", where + ": " + digits + " is no public key of Ed25519");
  return key;
}

}  // namespace sis_model
