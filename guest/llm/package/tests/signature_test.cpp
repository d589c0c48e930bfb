// Ed25519 against published vectors, and what is no signature or no key.
#include <gtest/gtest.h>

#include <vector>

#include "guest/llm/package/hex.hpp"
#include "guest/llm/package/vectors/vectors.hpp"
#include "guest/llm/package/verifier.hpp"

namespace guest::llm::package {
namespace {

struct Signed {
  PublicKey key{};
  std::vector<std::uint8_t> message;
  Signature signature{};
};

Signed read(const vectors::SignatureVector& vector) {
  Signed result;
  result.message.resize(vector.message.size() / 2);
  EXPECT_TRUE(read_hex(vector.key, result.key) && read_hex(vector.message, result.message) &&
              read_hex(vector.signature, result.signature));
  return result;
}

bool accepts(const Signed& all) { return is_signed_by(all.key, std::as_bytes(std::span(all.message)), all.signature); }

TEST(SignatureCheck, accepts_the_published_ones) {
  for (const vectors::SignatureVector& vector : vectors::kSignatureVectors) {
    EXPECT_TRUE(accepts(read(vector))) << vector.name;
    EXPECT_TRUE(is_valid_key(read(vector).key)) << vector.name;
  }
}

TEST(SignatureCheck, refuses_them_with_any_bit_changed) {
  Signed all = read(vectors::kSignatureVectors[2]);
  const auto each_bit = [&all](std::span<std::uint8_t> bytes, const char* what) {
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      const auto mask = static_cast<std::uint8_t>(1U << bit % 8);
      bytes[bit / 8] ^= mask;
      EXPECT_FALSE(accepts(all)) << what << ", bit " << bit;
      bytes[bit / 8] ^= mask;
    }
  };
  each_bit(all.signature, "signature");
  each_bit(all.message, "message");
  each_bit(all.key, "key");
  EXPECT_TRUE(accepts(all));
}

TEST(SignatureCheck, refuses_s_beyond_the_group_order) {
  // RFC 8032, "Verify": S + L is another encoding of the same number.
  static constexpr std::uint8_t kOrder[] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                            0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                            0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  Signed all = read(vectors::kSignatureVectors[0]);
  unsigned carry = 0;
  for (std::size_t i = 0; i < sizeof(kOrder); ++i) {
    carry += all.signature[32 + i] + unsigned{kOrder[i]};
    all.signature[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  ASSERT_EQ(carry, 0U);
  EXPECT_FALSE(accepts(all));
}

TEST(Key, that_is_no_point_or_a_weak_one_is_none) {
  struct Case {
    const char* what;
    const char* key;
  };
  static constexpr Case kCases[] = {
      {"zeros, a point of order 4", "0000000000000000000000000000000000000000000000000000000000000000"},
      {"the neutral element", "0100000000000000000000000000000000000000000000000000000000000000"},
      {"no point", "0200000000000000000000000000000000000000000000000000000000000000"},
      {"p + 1, another encoding", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
      {"ones", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
  };
  for (const auto& [what, text] : kCases) {
    PublicKey key;
    ASSERT_TRUE(read_hex(text, key));
    EXPECT_FALSE(is_valid_key(key)) << what;
    // With such a key, zeros would be a signature of anything.
    EXPECT_FALSE(is_signed_by(key, {}, Signature{})) << what;
  }
}

}  // namespace
}  // namespace guest::llm::package
