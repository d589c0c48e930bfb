// The examples of docs/control-protocol-v0.md, byte for byte.
#include "page_examples.hpp"
#include "version0_fixture.hpp"

namespace guest::control::testing {
namespace {

TEST_F(Version0Test, examples_of_the_protocol_page_are_what_the_server_does) {
  const auto examples = read_examples(SIS_CONTROL_PROTOCOL_PAGE);
  ASSERT_EQ(examples.size(), 16U) << SIS_CONTROL_PROTOCOL_PAGE;
  for (const Example& example : examples) {
    ASSERT_FALSE(example.sent.empty()) << example.title;
    ASSERT_EQ(example.answers.size(), 1U) << example.title;
    EXPECT_FALSE(client.stream.closed) << example.title;
    EXPECT_EQ(ask(example.sent), example.answers.front() + "\n") << example.title;
  }
  EXPECT_TRUE(client.stream.closed);  // the last one is a frame of another version
}

}  // namespace
}  // namespace guest::control::testing
