#include "guest/security/random.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace guest::security {
namespace {

std::vector<std::uint8_t> from_hex(const std::string& hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Seed counting_seed() {
  Seed seed{};
  for (std::size_t i = 0; i < seed.size(); ++i) {
    seed[i] = static_cast<std::uint8_t>(i);
  }
  return seed;
}

std::vector<std::uint8_t> take(RandomBytes& random, std::size_t bytes, std::uint8_t additional) {
  std::vector<std::uint8_t> out(bytes);
  random.fill(out, std::vector<std::uint8_t>{additional, 0, 0, 0, 0, 0, 0, 0});
  return out;
}

/// RFC 6979, A.2.5, "ECDSA, 256 Bits (Prime Field)", SHA-256, message "sample": its k is the first output of this
/// generator, seeded with the private key and the message's hash.
TEST(RandomBytes, first_output_is_that_of_rfc_6979) {
  RandomBytes random(
      from_hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"
               "AF2BDBE1AA9B6EC1E2ADE1D694F41FC71A831D0268E9891562113D8A62ADD1BF"));
  std::vector<std::uint8_t> out(32);
  random.fill(out, {});
  EXPECT_EQ(out, from_hex("A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60"));
}

/// Expected values: SP 800-90A written down anew with Python's hmac.
TEST(RandomBytes, additional_input_and_lengths_follow_the_standard) {
  RandomBytes random(counting_seed());
  EXPECT_EQ(take(random, 40, 5),
            from_hex("092fc896b14b7b83a1416c1cdbfc65a2c39aaab2cb7c1f5d585c2704a34cb6c1c51045cbff853982"));
  EXPECT_EQ(take(random, 8, 6), from_hex("227072ce9c26e75e"));
}

TEST(RandomBytes, machines_that_go_on_from_one_snapshot_part_with_the_time) {
  RandomBytes one(counting_seed());
  RandomBytes other(counting_seed());
  EXPECT_EQ(take(one, 32, 1), take(other, 32, 1));
  EXPECT_NE(take(one, 32, 2), take(other, 32, 3));
  EXPECT_NE(take(one, 32, 4), take(other, 32, 4));
}

}  // namespace
}  // namespace guest::security
