// The examples of docs/control-protocol.md, byte for byte.
#include <fstream>
#include <sstream>

#include "test_client.hpp"

namespace guest::control::testing {
namespace {

/// One example: what is sent, and what must come back.
struct Example {
  std::string title;
  Bytes sent;
  Bytes expected;
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
      append_hex(examples.back().expected, line.substr(2));
    } else if (!line.empty()) {
      title = line;
    }
  }
  return examples;
}

TEST_F(ServerTest, examples_of_the_protocol_page_are_what_the_server_does) {
  const auto examples = read_examples();
  ASSERT_EQ(examples.size(), 7U) << SIS_CONTROL_PROTOCOL_PAGE;
  machine.log.error("hello");
  for (const Example& example : examples) {
    ASSERT_FALSE(example.sent.empty()) << example.title;
    ASSERT_FALSE(example.expected.empty()) << example.title;
    client.send(example.sent);
    machine.run();
    EXPECT_EQ(client.stream.take_sent(), example.expected) << example.title;
  }
  EXPECT_TRUE(client.stream.closed);  // the last one is a frame that does not start with 'C'
}

}  // namespace
}  // namespace guest::control::testing
