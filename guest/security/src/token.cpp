#include "guest/security/token.hpp"

#include <sodium/crypto_auth_hmacsha256.h>

#include <cstring>

namespace guest::security {

static_assert(crypto_auth_hmacsha256_BYTES == abi::control::kMacBytes);
static_assert(crypto_auth_hmacsha256_KEYBYTES == abi::control::kKeyBytes);

std::string_view to_string(TokenError error) {
  switch (error) {
    case TokenError::Invalid:
      return "the token was not made with this machine's key, or was changed";
    case TokenError::Expired:
      return "the token has expired";
    case TokenError::NoClock:
      return "the token has an expiry, and this machine does not know the time";
    case TokenError::NoKey:
      return "this machine was booted without a control key: nobody is accepted";
    case TokenError::Revoked:
      return "the token was revoked, by its id or with the machine's key";
  }
  return "unknown";
}

std::expected<abi::control::Token, TokenError> check_token(std::span<const std::byte, sizeof(abi::control::Token)> raw,
                                                           const Key& key, std::uint64_t unix_now_ns) {
  abi::control::Token token;
  std::memcpy(&token, raw.data(), sizeof(token));
  // unsigned char is what libsodium takes; it may alias any object.
  const auto* signed_part = reinterpret_cast<const unsigned char*>(&token);
  if (crypto_auth_hmacsha256_verify(token.mac, signed_part, abi::control::kTokenSignedBytes, key.data()) != 0) {
    return std::unexpected(TokenError::Invalid);
  }
  const auto all = static_cast<std::uint8_t>(abi::control::Rights::All);
  if (token.version != abi::control::kTokenVersion || token.reserved != 0 || (token.rights & ~all) != 0) {
    return std::unexpected(TokenError::Invalid);
  }
  if (token.expires_unix_ns != 0) {
    if (unix_now_ns == 0) {
      return std::unexpected(TokenError::NoClock);
    }
    if (unix_now_ns >= token.expires_unix_ns) {
      return std::unexpected(TokenError::Expired);
    }
  }
  return token;
}

abi::control::Token make_token(const TokenFields& fields, const Key& key) {
  abi::control::Token token{.version = abi::control::kTokenVersion,
                            .rights = static_cast<std::uint8_t>(fields.rights),
                            .reserved = 0,
                            .id = fields.id,
                            .expires_unix_ns = fields.expires_unix_ns,
                            .mac = {}};
  // unsigned char may alias any object.
  const auto* signed_part = reinterpret_cast<const unsigned char*>(&token);
  crypto_auth_hmacsha256(token.mac, signed_part, abi::control::kTokenSignedBytes, key.data());
  return token;
}

}  // namespace guest::security
