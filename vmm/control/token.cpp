#include <sodium.h>

#include <cstring>

#include "vmm/control/client.hpp"

namespace vmm::control {

abi::control::Token make_token(const Key& key, std::uint32_t id, abi::control::Rights rights,
                               std::uint64_t expires_unix_ns) {
  static_assert(crypto_auth_hmacsha256_BYTES == abi::control::kMacBytes);
  static_assert(crypto_auth_hmacsha256_KEYBYTES == abi::control::kKeyBytes);
  abi::control::Token token{.version = abi::control::kTokenVersion,
                            .rights = static_cast<std::uint8_t>(rights),
                            .reserved = 0,
                            .id = id,
                            .expires_unix_ns = expires_unix_ns,
                            .mac = {}};
  unsigned char head[abi::control::kTokenSignedBytes];
  std::memcpy(head, &token, sizeof(head));
  crypto_auth_hmacsha256(token.mac, head, sizeof(head), key.data());
  return token;
}

}  // namespace vmm::control
