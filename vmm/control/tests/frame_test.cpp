#include "vmm/control/frame.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace vmm::control {
namespace {

namespace wire = abi::control;
using nlohmann::json;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

Bytes frame_bytes(wire::Command command, std::uint32_t id, const json& body) {
  return *encode_frame(command, id, body, wire::kMaxPayloadBytes);
}

Bytes reply_bytes(std::uint32_t id = 7) { return frame_bytes(wire::Command::Reply, id, {{"status", "ok"}}); }

/// The sentence that a reader ends with on these bytes.
std::string problem_of(const Bytes& bytes) {
  FrameReader reader;
  reader.append(bytes);
  const auto frame = reader.next();
  return frame ? "" : frame.error();
}

std::string problem_of_cbor(const Bytes& cbor) {
  const auto body = parse_body(cbor);
  return body ? "" : body.error();
}

TEST(EncodeFrame, request_has_the_documented_bytes) {
  const auto frame = encode_frame(wire::Command::Call, 0x01020304, {{"op", "ping"}}, wire::kMaxPayloadBytes);
  ASSERT_TRUE(frame);
  const Bytes expected = {'C', 1, 0x01, 0, 13, 0, 0, 0, 4, 3, 2, 1, 0xa1, 0x62, 'o', 'p', 0x64, 'p', 'i', 'n', 'g'};
  EXPECT_EQ(*frame, expected);
}

TEST(EncodeFrame, payload_over_the_limit_is_refused_with_both_sizes) {
  const json body = {{"x", std::string(100, 'a')}};  // 1 + 2 + 2 + 100 bytes, and 4 of the id
  EXPECT_TRUE(encode_frame(wire::Command::Call, 1, body, 109));
  const auto refused = encode_frame(wire::Command::Call, 1, body, 108);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), "the request has 109 bytes, allowed: 108");
}

TEST(FrameReader, frame_in_single_bytes_comes_out_with_the_last) {
  FrameReader reader;
  const Bytes bytes = reply_bytes();
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    reader.append(std::span(bytes).subspan(i, 1));
    const auto none = reader.next();
    ASSERT_TRUE(none && !*none) << "after byte " << i;
  }
  reader.append(std::span(bytes).last(1));
  const auto frame = reader.next();
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->id, 7u);
  EXPECT_EQ((*frame)->command, wire::Command::Reply);
  EXPECT_EQ((*frame)->body, json({{"status", "ok"}}));
  EXPECT_EQ(reader.pending_bytes(), 0u);
}

TEST(FrameReader, two_frames_in_one_piece_come_out_in_order) {
  FrameReader reader;
  Bytes bytes = reply_bytes(1);
  const Bytes second = reply_bytes(2);
  bytes.insert(bytes.end(), second.begin(), second.end());
  reader.append(bytes);
  EXPECT_EQ((*reader.next())->id, 1u);
  EXPECT_EQ((*reader.next())->id, 2u);
  EXPECT_FALSE(*reader.next());
}

TEST(FrameReader, largest_payload_is_accepted) {
  // 1 + 2 bytes map and key, 3 text header: 65536 - 4 - 6.
  const Bytes bytes = frame_bytes(wire::Command::Reply, 1, {{"x", std::string(65526, 'a')}});
  EXPECT_EQ(bytes.size(), sizeof(wire::FrameHeader) + wire::kMaxPayloadBytes);
  EXPECT_EQ(problem_of(bytes), "");
}

TEST(FrameReader, wrong_magic_is_refused_at_the_first_byte) {
  EXPECT_EQ(problem_of({'S'}), "a frame starts with 0x53 instead of 'C' (0x43)");
}

TEST(FrameReader, every_wrong_header_field_is_named) {
  const auto with = [](std::size_t index, std::uint8_t value) {
    Bytes bytes = reply_bytes();
    bytes[index] = value;
    return problem_of(bytes);
  };
  EXPECT_EQ(with(1, 2), "a frame has version 2, expected 1");
  EXPECT_EQ(with(2, 0x01), "a frame has command 0x01, expected a reply, an error or an event");
  EXPECT_EQ(with(2, 0x83), "a frame has command 0x83, expected a reply, an error or an event");
  EXPECT_EQ(with(3, 0x10), "a frame has flags 0x10, expected 0");
  EXPECT_EQ(with(7, 0x80), "a frame announces 2147483663 bytes, allowed: 65536");
  EXPECT_EQ(with(6, 0x01), "a frame announces 65551 bytes, allowed: 65536");
  EXPECT_EQ(with(4, 4), "a frame has a payload of 4 bytes, too short for an id and a map");
  EXPECT_EQ(with(4, 0), "a frame has a payload of 0 bytes, too short for an id and a map");
}

TEST(FrameReader, error_is_final) {
  FrameReader reader;
  reader.append(Bytes{'S'});
  EXPECT_FALSE(reader.next());
  reader.append(reply_bytes());
  EXPECT_FALSE(reader.next());
}

TEST(FrameReader, body_problem_names_the_request) {
  Bytes bytes = reply_bytes(7);
  bytes.back() = 0xff;  // not UTF-8, the last byte of "ok"
  EXPECT_THAT(problem_of(bytes), HasSubstr("the frame for request 7: malformed CBOR"));
}

TEST(ParseBody, malformed_items_are_refused) {
  EXPECT_THAT(problem_of_cbor({}), HasSubstr("malformed CBOR"));
  EXPECT_THAT(problem_of_cbor({0xa1, 0x61, 'x'}), HasSubstr("malformed CBOR"));        // value missing
  EXPECT_THAT(problem_of_cbor({0xa1, 0x01, 0x02}), HasSubstr("malformed CBOR"));       // key not text
  EXPECT_THAT(problem_of_cbor({0xa0, 0x00}), HasSubstr("malformed CBOR"));             // bytes after the map
  EXPECT_THAT(problem_of_cbor({0xa1, 0x61, 'x', 0xc1, 0x01}), HasSubstr("malformed"))  // a tag
      << "tags are not part of the protocol";
  EXPECT_EQ(problem_of_cbor({0x81, 0x01}), "the payload is not a map");
}

TEST(ParseBody, announced_sizes_beyond_the_bytes_are_refused) {
  // An array, a map, a text and a byte string of 2^63 or more elements: no allocation may follow the number.
  for (const std::uint8_t type : Bytes{0x9b, 0xbb, 0x7b, 0x5b}) {
    Bytes cbor = {0xa1, 0x61, 'x', type, 0x80, 0, 0, 0, 0, 0, 0, 0};
    EXPECT_NE(problem_of_cbor(cbor), "") << "type " << int{type};
    for (std::size_t i = 4; i < cbor.size(); ++i) cbor[i] = 0xff;
    EXPECT_NE(problem_of_cbor(cbor), "") << "type " << int{type};
  }
}

TEST(ParseBody, duplicate_key_is_refused) {
  EXPECT_EQ(problem_of_cbor({0xa2, 0x61, 'x', 0x01, 0x61, 'x', 0x02}), "a map has the key 'x' twice");
}

TEST(ParseBody, same_key_in_two_maps_is_accepted) {
  EXPECT_EQ(problem_of_cbor({0xa1, 0x61, 'x', 0xa1, 0x61, 'x', 0x02}), "");
}

TEST(ParseBody, nesting_up_to_the_limit_is_accepted_and_one_more_refused) {
  const auto nested = [](std::size_t arrays) {
    Bytes cbor = {0xa1, 0x61, 'x'};
    cbor.insert(cbor.end(), arrays, 0x81);
    cbor.push_back(0x00);
    return cbor;
  };
  EXPECT_EQ(problem_of_cbor(nested(kMaxReplyDepth - 1)), "");
  EXPECT_EQ(problem_of_cbor(nested(kMaxReplyDepth)), "maps and arrays are nested deeper than 16");
  EXPECT_EQ(problem_of_cbor(nested(60000)), "maps and arrays are nested deeper than 16");
}

TEST(ParseBody, text_that_is_not_utf8_is_refused) {
  EXPECT_THAT(problem_of_cbor({0xa1, 0x61, 'x', 0x61, 0xff}), HasSubstr("UTF-8"));
  EXPECT_THAT(problem_of_cbor({0xa1, 0x61, 0xff, 0x01}), HasSubstr("UTF-8"));
}

}  // namespace
}  // namespace vmm::control
