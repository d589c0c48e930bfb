// The examples of docs/control-protocol-v0.md, byte for byte.
#include <fstream>
#include <sstream>

#include "version0_fixture.hpp"

namespace guest::control::testing {
namespace {

/// One example: the frame that is sent, and the line that must come back.
struct Example {
  std::string title;
  Bytes sent;
  std::string expected;
};

void append_hex(Bytes& bytes, const std::string& text) {
  std::istringstream words(text);
  unsigned value = 0;
  while (words >> std::hex >> value) {
    bytes.push_back(std::byte{static_cast<unsigned char>(value)});
  }
}

std::vector<Example> read_examples() {
  std::ifstream page(SIS_CONTROL_PROTOCOL_PAGE);
  std::vector<Example> examples;
  std::string line;
  std::string title;
  bool inside = false;
  while (std::getline(page, line)) {
    if (line == "```vectors") {
      examples.push_back({.title = title, .sent = {}, .expected = {}});
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside && line.starts_with("> ")) {
      append_hex(examples.back().sent, line.substr(2));
    } else if (inside && line.starts_with("< ")) {
      examples.back().expected = line.substr(2) + "\n";
    } else if (!line.empty()) {
      title = line;
    }
  }
  return examples;
}

TEST_F(Version0Test, examples_of_the_protocol_page_are_what_the_server_does) {
  const auto examples = read_examples();
  ASSERT_EQ(examples.size(), 16U) << SIS_CONTROL_PROTOCOL_PAGE;
  for (const Example& example : examples) {
    ASSERT_FALSE(example.sent.empty()) << example.title;
    EXPECT_FALSE(client.stream.closed) << example.title;
    EXPECT_EQ(ask(example.sent), example.expected) << example.title;
  }
  EXPECT_TRUE(client.stream.closed);  // the last one is a frame of another version
}

}  // namespace
}  // namespace guest::control::testing
