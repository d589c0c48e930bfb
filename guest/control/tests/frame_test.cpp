#include "guest/control/frame.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace guest::control {
namespace {

using State = FrameAssembler::State;
using Bytes = std::vector<std::byte>;

Bytes frame_bytes(std::uint32_t length, std::size_t payload, std::uint8_t magic = 'C', std::uint8_t version = 1) {
  const abi::control::FrameHeader header{
      .magic = magic, .version = version, .command = 1, .flags = 0, .length = length};
  Bytes bytes(sizeof(header) + payload);
  std::memcpy(bytes.data(), &header, sizeof(header));
  for (std::size_t i = 0; i < payload; ++i) {
    bytes[sizeof(header) + i] = std::byte{static_cast<unsigned char>(i)};
  }
  return bytes;
}

TEST(FrameAssembler, takes_one_frame_and_leaves_the_rest) {
  Bytes two = frame_bytes(5, 5);
  two.insert(two.end(), two.begin(), two.end());
  FrameAssembler assembler;
  EXPECT_EQ(assembler.append(two), 13U);
  ASSERT_EQ(assembler.state(), State::Complete);
  EXPECT_EQ(assembler.frame().payload.size(), 5U);
  EXPECT_EQ(assembler.append(two), 0U);  // nothing before take()
  assembler.take();
  EXPECT_EQ(assembler.append(std::span(two).subspan(13)), 13U);
  EXPECT_EQ(assembler.state(), State::Complete);
}

TEST(FrameAssembler, any_split_gives_the_same_frame) {
  const Bytes bytes = frame_bytes(20, 20);
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      FrameAssembler assembler;
      std::size_t used = assembler.append(std::span(bytes).first(first));
      used += assembler.append(std::span(bytes).subspan(used, second - used));
      used += assembler.append(std::span(bytes).subspan(used));
      ASSERT_EQ(used, bytes.size());
      ASSERT_EQ(assembler.state(), State::Complete);
      ASSERT_TRUE(std::equal(bytes.begin() + 8, bytes.end(), assembler.frame().payload.begin()));
    }
  }
}

TEST(FrameAssembler, empty_payload_is_a_frame) {
  FrameAssembler assembler;
  EXPECT_EQ(assembler.append(frame_bytes(0, 0)), 8U);
  EXPECT_EQ(assembler.state(), State::Complete);
  EXPECT_EQ(read_request_id(assembler.frame()).error().code, "malformed-frame");
}

TEST(FrameAssembler, largest_length_is_accepted_and_one_more_is_not) {
  FrameAssembler largest;
  largest.append(frame_bytes(65536, 0));
  EXPECT_EQ(largest.state(), State::NeedsBytes);
  FrameAssembler beyond;
  beyond.append(frame_bytes(65537, 0));
  ASSERT_EQ(beyond.state(), State::Broken);
  EXPECT_EQ(beyond.error().code, "too-large");
}

TEST(FrameAssembler, stream_that_cannot_be_followed_is_broken_for_good) {
  FrameAssembler magic;
  EXPECT_EQ(magic.append(frame_bytes(5, 5, 'X')), 8U);
  EXPECT_EQ(magic.error().code, "malformed-frame");
  EXPECT_EQ(magic.append(frame_bytes(5, 5)), 0U);
  EXPECT_EQ(magic.state(), State::Broken);
  FrameAssembler version;
  version.append(frame_bytes(5, 5, 'C', 2));
  EXPECT_EQ(version.error().code, "unsupported-version");
  EXPECT_EQ(version.error().message, "the protocol versions spoken here are 0 and 1");
  EXPECT_FALSE(version.version().has_value());
}

TEST(FrameAssembler, first_frame_decides_the_version) {
  constexpr std::uint8_t kVersions[][2] = {{0, 1}, {1, 0}};
  for (const auto [first, other] : kVersions) {
    FrameAssembler assembler;
    assembler.append(frame_bytes(5, 5, 'C', first));
    ASSERT_EQ(assembler.state(), State::Complete);
    EXPECT_EQ(assembler.version(), first);
    assembler.take();
    assembler.append(frame_bytes(5, 5, 'C', first));
    ASSERT_EQ(assembler.state(), State::Complete);
    assembler.take();
    assembler.append(frame_bytes(5, 5, 'C', other));
    EXPECT_EQ(assembler.error().code, "unsupported-version");
    EXPECT_EQ(assembler.version(), first);
  }
  FrameAssembler old_only;
  old_only.set_version(0);
  old_only.append(frame_bytes(5, 5, 'C', 1));
  EXPECT_EQ(old_only.error().message, "the protocol version of this connection is 0");
}

TEST(FrameAssembler, request_id_is_little_endian) {
  FrameAssembler assembler;
  assembler.append(frame_bytes(4, 4));  // payload 00 01 02 03
  EXPECT_EQ(*read_request_id(assembler.frame()), 0x03020100U);
}

TEST(FramePrefix, header_and_id_to_send) {
  std::array<std::byte, kFramePrefixBytes> out{};
  write_frame_prefix(out, abi::control::Command::Error, 0x01020304, 0x100);
  const unsigned expected[] = {'C', 1, 0x81, 0, 0x04, 0x01, 0, 0, 4, 3, 2, 1};
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(std::to_integer<unsigned>(out[i]), expected[i]) << i;
  }
}

}  // namespace
}  // namespace guest::control
