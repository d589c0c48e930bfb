// The examples of docs/control-protocol.md, byte for byte.
#include "page_examples.hpp"

namespace guest::control::testing {
namespace {

TEST_F(ServerTest, examples_of_the_protocol_page_are_what_the_server_does) {
  const auto examples = read_examples(SIS_CONTROL_PROTOCOL_PAGE);
  ASSERT_EQ(examples.size(), 7U) << SIS_CONTROL_PROTOCOL_PAGE;
  machine.log.error("hello");
  for (const Example& example : examples) {
    ASSERT_FALSE(example.sent.empty()) << example.title;
    Bytes expected;
    for (const std::string& answer : example.answers) {
      append_hex(expected, answer);
    }
    ASSERT_FALSE(expected.empty()) << example.title;
    client.send(example.sent);
    machine.run();
    EXPECT_EQ(client.stream.take_sent(), expected) << example.title;
  }
  EXPECT_TRUE(client.stream.closed);  // the last one is a frame that does not start with 'C'
}

}  // namespace
}  // namespace guest::control::testing
