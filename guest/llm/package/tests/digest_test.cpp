// SHA-256 against published vectors, in pieces of all sizes.
#include "guest/llm/package/digest.hpp"

#include <gtest/gtest.h>

#include <string>

#include "guest/llm/package/hex.hpp"
#include "guest/llm/package/testing/package.hpp"
#include "guest/llm/package/vectors/vectors.hpp"

namespace guest::llm::package {
namespace {

using testing::bytes_of;
using testing::StringText;

std::string hex_of(const Digest& digest) {
  StringText text;
  write_hex(text, digest);
  return text.text();
}

std::string message_of(const vectors::DigestVector& vector) {
  std::string message;
  for (unsigned i = 0; i < vector.times; ++i) {
    message += vector.text;
  }
  return message;
}

TEST(FileHash, of_the_published_messages_is_the_published_one) {
  for (const vectors::DigestVector& vector : vectors::kDigestVectors) {
    EXPECT_EQ(hex_of(testing::digest_of(message_of(vector))), vector.digest) << vector.text;
  }
}

TEST(FileHash, does_not_depend_on_the_pieces) {
  const vectors::DigestVector& longest = vectors::kDigestVectors[3];
  const std::string message = message_of(longest);
  for (std::size_t piece = 1; piece <= message.size(); ++piece) {
    FileHash hash;
    hash.add({});
    for (std::size_t at = 0; at < message.size(); at += piece) {
      hash.add(bytes_of(message).subspan(at, std::min(piece, message.size() - at)));
    }
    EXPECT_EQ(hex_of(hash.finish()), longest.digest) << piece;
  }
}

TEST(Hex, is_read_in_one_way) {
  std::array<std::uint8_t, 2> out{};
  EXPECT_TRUE(read_hex("0aff", out));
  EXPECT_EQ(out, (std::array<std::uint8_t, 2>{0x0A, 0xFF}));
  for (const char* const other : {"", "0af", "0aff0", "0aFf", "0a f", "0x0a", "0ag0"}) {
    EXPECT_FALSE(read_hex(other, out)) << other;
  }
}

}  // namespace
}  // namespace guest::llm::package
