// An authority with a key and a seed, and tokens as a host makes them.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "guest/security/authority.hpp"

namespace guest::security::testing {

inline constexpr std::uint64_t kNow = 1'800'000'000'000'000'000;
inline constexpr Principal kConsole = {.rights = Rights::All};

inline Key key_of(std::uint8_t fill) {
  Key key{};
  key.fill(fill);
  return key;
}

using Raw = std::array<std::byte, sizeof(abi::control::Token)>;

inline Raw raw(const abi::control::Token& token) {
  Raw bytes{};
  std::memcpy(bytes.data(), &token, sizeof(token));
  return bytes;
}

inline Raw host_token(std::uint32_t id, Rights rights = Rights::All, std::uint64_t expires = 0,
                      const Key& key = key_of(1)) {
  return raw(make_token({.id = id, .rights = rights, .expires_unix_ns = expires}, key));
}

class AuthorityTest : public ::testing::Test {
 protected:
  Grant accept(const Raw& token, std::uint64_t now = kNow) {
    const auto grant = authority.accept(token, now);
    EXPECT_TRUE(grant) << to_string(grant.error());
    return grant.value_or(Grant{});
  }
  TokenError refusal(const Raw& token, std::uint64_t now = kNow) {
    const auto grant = authority.accept(token, now);
    EXPECT_FALSE(grant);
    return grant ? TokenError::Invalid : grant.error();
  }
  abi::control::Token make(const Principal& maker, const Authority::Wanted& wanted) {
    const auto token = authority.make(maker, wanted, kNow);
    EXPECT_TRUE(token) << to_string(token.error());
    return token.value_or(abi::control::Token{});
  }
  AuthorityError make_refusal(const Principal& maker, const Authority::Wanted& wanted, std::uint64_t now = kNow) {
    const auto token = authority.make(maker, wanted, now);
    EXPECT_FALSE(token);
    return token ? AuthorityError::Zero : token.error();
  }
  /// Why a grant gives nothing.
  TokenError ended(const Grant& grant, std::uint64_t now = kNow) {
    const auto rights = authority.rights(grant, now);
    EXPECT_FALSE(rights);
    return rights ? TokenError::Invalid : rights.error();
  }
  static Principal holder(const Grant& grant) {
    return {.rights = grant.rights, .token = grant.token_id, .expires_unix_ns = grant.expires_unix_ns, .connection = 1};
  }

  Authority authority{key_of(1), Seed{}};
};

}  // namespace guest::security::testing
