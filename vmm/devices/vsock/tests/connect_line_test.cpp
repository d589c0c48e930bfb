#include "vmm/devices/vsock/connect_line.hpp"

#include <gtest/gtest.h>

#include <string>

namespace vmm::vsock {
namespace {

using Status = ConnectLine::Status;

Status status_of(std::string_view line) {
  ConnectLine parser;
  parser.feed(line);
  return parser.status();
}

TEST(connect_line, whole_line_gives_the_port_and_leaves_the_rest) {
  ConnectLine line;
  EXPECT_EQ(line.feed("CONNECT 5000\nhello"), 13u);
  EXPECT_EQ(line.status(), Status::Complete);
  EXPECT_EQ(line.port(), 5000u);
}

TEST(connect_line, split_anywhere_gives_the_same) {
  const std::string text = "CONNECT 4294967294\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    ConnectLine line;
    line.feed(std::string_view(text).substr(0, cut));
    EXPECT_EQ(line.status(), cut == text.size() ? Status::Complete : Status::Incomplete);
    line.feed(std::string_view(text).substr(cut));
    EXPECT_EQ(line.status(), Status::Complete);
    EXPECT_EQ(line.port(), 4294967294u);
  }
}

TEST(connect_line, ports_from_zero_to_the_largest_are_accepted) {
  EXPECT_EQ(status_of("CONNECT 0\n"), Status::Complete);
  EXPECT_EQ(status_of("CONNECT 4294967294\n"), Status::Complete);
  EXPECT_EQ(status_of("CONNECT 4294967295\n"), Status::PortTooBig);
  EXPECT_EQ(status_of("CONNECT 18446744073709551621\n"), Status::PortTooBig);
}

TEST(connect_line, anything_but_digits_is_refused) {
  EXPECT_EQ(status_of("CONNECT \n"), Status::BadPort);
  EXPECT_EQ(status_of("CONNECT -1\n"), Status::BadPort);
  EXPECT_EQ(status_of("CONNECT +1\n"), Status::BadPort);
  EXPECT_EQ(status_of("CONNECT 0x1\n"), Status::BadPort);
  EXPECT_EQ(status_of("CONNECT  1\n"), Status::BadPort);
  EXPECT_EQ(status_of("CONNECT 1 \n"), Status::BadPort);
  EXPECT_EQ(status_of("CONNECT 1\r\n"), Status::BadPort);
  EXPECT_EQ(status_of(std::string_view("CONNECT 1\0\n", 11)), Status::BadPort);
}

TEST(connect_line, other_commands_are_refused_at_the_first_wrong_byte) {
  EXPECT_EQ(status_of("\n"), Status::NotConnect);
  EXPECT_EQ(status_of("connect 1\n"), Status::NotConnect);
  EXPECT_EQ(status_of("CONNECT\n"), Status::NotConnect);
  ConnectLine line;
  EXPECT_EQ(line.feed("GET / HTTP/1.1"), 1u);
}

TEST(connect_line, line_of_32_bytes_is_too_long_only_without_its_end) {
  // 8 bytes of command, 23 digits, the newline: 32.
  EXPECT_EQ(status_of("CONNECT " + std::string(22, '0') + "7\n"), Status::Complete);
  EXPECT_EQ(status_of("CONNECT " + std::string(24, '0')), Status::TooLong);
  EXPECT_EQ(status_of("CONNECT " + std::string(23, '0')), Status::Incomplete);
}

TEST(connect_line, endless_line_is_never_taken_beyond_the_limit) {
  ConnectLine line;
  EXPECT_EQ(line.feed("CONNECT " + std::string(100'000, '0')), kMaxConnectLineBytes);
  EXPECT_EQ(line.status(), Status::TooLong);
  EXPECT_EQ(line.feed("00000"), 0u);
}

TEST(connect_line, every_error_has_words) {
  for (const char* text : {"X", "CONNECT x", "CONNECT 99999999999", "CONNECT 000000000000000000000000"}) {
    ConnectLine line;
    line.feed(text);
    EXPECT_FALSE(line.problem().empty()) << text;
  }
}

}  // namespace
}  // namespace vmm::vsock
