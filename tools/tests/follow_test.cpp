// Events of the guest as text and as JSON.
#include "tools/follow.hpp"

#include <gtest/gtest.h>

namespace sisctl {
namespace {

using nlohmann::json;

TEST(SendsEvents, what_begins_with_watch) {
  EXPECT_TRUE(sends_events({.op = "watch log"}));
  EXPECT_FALSE(sends_events({.op = "watch"}));
  EXPECT_FALSE(sends_events({.op = "graph wait"}));
}

TEST(EventText, line_of_the_log) {
  EXPECT_EQ(event_text({{"level", "info"}, {"line", "vsock: \x1b[2J"}}), "vsock: \\x1b[2J\n");
  EXPECT_EQ(event_text({{"lost", 90}, {"level", "info"}, {"line", "x"}}), "(90 bytes lost)\nx\n");
}

TEST(EventText, events_of_the_trace_are_a_line_each) {
  const json event = {{"lost", 3},
                      {"events", {{{"event", "irq-enter"}, {"cpu", 1}, {"time_ns", 7}, {"intid", 27}}, {{"a", "b"}}}}};
  EXPECT_EQ(event_text(event), "(3 lost)\ntime_ns=7  cpu=1  event=irq-enter  intid=27\na=b\n");
}

TEST(EventText, figures_and_tensors_of_a_channel) {
  EXPECT_EQ(event_text({{"kind", "figures"}, {"depth", 1}, {"time_ns", 5}}), "time_ns=5  depth=1  kind=figures\n");
  json tensor = {
      {"kind", "tensor"}, {"index", 3}, {"dtype", "u8"}, {"shape", {2, 2}}, {"data", json::binary({0, 255, 16, 'x'})}};
  EXPECT_EQ(event_text(tensor), "3: u8[2x2]  00ff1078\n");
  tensor["schema_name"] = "text";
  tensor["data"] = json::binary({'h', 'i', 0x1b, 0xff});
  EXPECT_EQ(event_text(tensor), "3: u8[2x2]  \"hi\\u001b\\ufffd\"\n");
  tensor["schema_name"] = "other";
  tensor["data"] = json::binary(std::vector<std::uint8_t>(33, 1));
  EXPECT_TRUE(event_text(tensor).ends_with("0101...\n"));
}

TEST(EventText, of_a_guest_that_says_anything) {
  EXPECT_EQ(event_text(json::object()), "\n");
  EXPECT_EQ(event_text({{"line", 5}}), "line=5\n");
  EXPECT_EQ(event_text({{"events", 5}}), "events=5\n");
  EXPECT_EQ(event_text({{"events", {1, "a"}}}), "1\na\n");
  EXPECT_EQ(event_text({{"kind", "tensor"}}), "kind=tensor\n");
  EXPECT_EQ(event_text({{"kind", "tensor"}, {"data", 1}, {"shape", 7}}), "null: null[7]  1\n");
}

TEST(WithHex, bytes_are_texts_of_digits) {
  EXPECT_EQ(with_hex({{"a", {{"data", json::binary({0, 171})}}}, {"b", 1}, {"c", {json::binary({1})}}}),
            json({{"a", {{"data", "00ab"}}}, {"b", 1}, {"c", {"01"}}}));
}

}  // namespace
}  // namespace sisctl
