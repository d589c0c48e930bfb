#include <gtest/gtest.h>
#include <sodium.h>

#include <cstring>

#include "vmm/control/client.hpp"

namespace vmm::control {
namespace {

TEST(Token, fixed_key_gives_the_mac_computed_elsewhere) {
  Key key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const auto token = make_token(key, 0x01020304, abi::control::Rights::Observe, 0x1122334455667788);
  // Python: hmac.new(bytes(range(32)), bytes.fromhex("0101000004030201" "8877665544332211"), "sha256").hexdigest()
  constexpr char kExpected[] = "b537b873c8e60a673cedd8287781532a6bce668af358f1eadbd55396406f87ec";
  char hex[2 * abi::control::kMacBytes + 1];
  sodium_bin2hex(hex, sizeof(hex), token.mac, sizeof(token.mac));
  EXPECT_STREQ(hex, kExpected);
  EXPECT_EQ(token.rights, 1);
  EXPECT_EQ(token.version, abi::control::kTokenVersion);
}

TEST(Token, other_rights_give_another_mac) {
  const Key key{};
  const auto submit = make_token(key, 1, abi::control::Rights::Submit, 0);
  const auto admin = make_token(key, 1, abi::control::Rights::Admin, 0);
  EXPECT_NE(std::memcmp(submit.mac, admin.mac, sizeof(submit.mac)), 0);
}

}  // namespace
}  // namespace vmm::control
