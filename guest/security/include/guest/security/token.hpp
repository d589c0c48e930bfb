// Capability tokens of the control protocol (abi::control::Token), checked and made with libsodium.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "abi/control.hpp"

namespace guest::security {

using Key = std::array<std::uint8_t, abi::control::kKeyBytes>;

/// Why a token was not accepted, or gives nothing any more.
enum class TokenError : std::uint8_t {
  Invalid,  ///< wrong MAC, version, reserved bits or rights; deliberately not told apart
  Expired,
  NoClock,  ///< it expires, and this machine does not know the time
  NoKey,    ///< nobody can be accepted
  Revoked,  ///< by its id, or with its key
};
std::string_view to_string(TokenError error);

/// Checks the MAC in constant time, then the fields. `unix_now_ns`: wall clock, 0 if unknown. Errors: Invalid, Expired,
/// NoClock.
std::expected<abi::control::Token, TokenError> check_token(std::span<const std::byte, sizeof(abi::control::Token)> raw,
                                                           const Key& key, std::uint64_t unix_now_ns);

struct TokenFields {
  std::uint32_t id = 0;
  abi::control::Rights rights = abi::control::Rights::None;
  std::uint64_t expires_unix_ns = 0;  ///< 0: never
};
/// A token under `key`.
abi::control::Token make_token(const TokenFields& fields, const Key& key);

}  // namespace guest::security
