// Version 0: what its commands do, and every way in which they are refused.
#include "version0_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kMs = 1'000'000;

TEST_F(Version0Test, a_graph_is_built_and_run) {
  build();
  EXPECT_THAT(ask(Legacy::StartGraph, std::uint32_t{5}), StartsWith("OK RUN steps=5 executions=15 ns="));
  // Counts are of the run, not of all runs.
  EXPECT_THAT(ask(Legacy::StartGraph, std::uint32_t{7}), StartsWith("OK RUN steps=7 executions=21 ns="));
  EXPECT_EQ(graph_v0().graph->operators().size(), 3U);
  EXPECT_EQ(graph_v0().graph->find_operator("op2")->kind().name, "split");
}

TEST_F(Version0Test, operators_have_priority_and_stage) {
  EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
  ask(Legacy::AddChannel, std::uint16_t{1});
  ask(add(9, kNone, 0, 200, 4));
  const graph::Operator& added = *graph_v0().graph->find_operator(9);
  EXPECT_EQ(added.priority(), 200);
  EXPECT_EQ(added.stage(), graph::Stage::Explain);
}

TEST_F(Version0Test, create_replaces_the_graph_and_no_other) {
  ASSERT_TRUE(graph::graph_set().create({.name = "other"}, std::nullopt).has_value());
  build();
  EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
  EXPECT_EQ(graph_v0().graph->operators().size(), 0U);
  EXPECT_EQ(ask(Legacy::AddChannel, std::uint16_t{1}), "OK CHANNEL id=0\n");
  EXPECT_NE(graph::graph_set().find("other"), nullptr);
}

TEST_F(Version0Test, requests_that_were_sent_ahead_are_answered_in_order) {
  build();
  Bytes all = legacy(Legacy::StartGraph, std::uint32_t{100});
  for (const Bytes& next : {legacy(Legacy::StartGraph, std::uint32_t{0}), legacy(Legacy::CreateGraph),
                            legacy(Legacy::StartGraph, std::uint32_t{1})}) {
    all.insert(all.end(), next.begin(), next.end());
  }
  const std::string lines = ask(all);
  EXPECT_THAT(lines, StartsWith("OK RUN steps=100 executions=300 ns="));
  EXPECT_THAT(lines, HasSubstr("\nERR bad-argument steps: found 0, allowed: an integer from 1 to 1000000000000\n"
                               "OK GRAPH name=v0\n"
                               "ERR graph-incomplete graph 'v0' has no operators\n"));
}

TEST_F(Version0Test, create_stops_a_run_of_another_client_first) {
  build();
  TestClient other;
  ASSERT_TRUE(other.connect(server.legacy_listener()));
  threads::start("test", [&] {
    other.send(legacy(Legacy::StartGraph, std::uint32_t{4'000'000'000}));
    client.send(legacy(Legacy::CreateGraph));
  });
  threads::run_until_idle();
  EXPECT_THAT(text_of(other.stream.take_sent()), StartsWith("ERR graph-stopped the run has ended after "));
  EXPECT_EQ(text_of(client.stream.take_sent()), "OK GRAPH name=v0\n");
  EXPECT_EQ(graph_v0().graph->operators().size(), 0U);
  other.stream.disconnect();
}

TEST_F(Version0Test, a_run_goes_on_without_the_client_that_began_it) {
  build();
  threads::start("test", [&] {
    client.send(legacy(Legacy::StartGraph, std::uint32_t{50}));
    client.stream.disconnect();
  });
  threads::run_until_idle();
  EXPECT_EQ(graph_v0().runner->report().end, graph::RunEnd::Finished);
  EXPECT_EQ(graph_v0().runner->report().executions, 150U);
  EXPECT_EQ(machine.counter("control_unanswered"), 1U);
}

TEST_F(Version0Test, a_client_that_has_ended_its_side_gets_its_answer) {
  build();
  threads::start("test", [&] {
    client.send(legacy(Legacy::StartGraph, std::uint32_t{3}));
    client.stream.end_sending();
    EXPECT_FALSE(client.stream.closed);
  });
  threads::run_until_idle();
  EXPECT_THAT(text_of(client.stream.take_sent()), StartsWith("OK RUN steps=3 "));
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(Version0Test, a_run_that_ends_otherwise_is_an_error_that_says_how) {
  EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
  ask(Legacy::AddChannel, std::uint16_t{1});
  EXPECT_THAT(ask(add(1, 0, 0)), StartsWith("OK"));  // it waits for itself
  EXPECT_THAT(ask(Legacy::StartGraph, std::uint32_t{5}), StartsWith("OK RUN steps=5 executions=0 ns="));
  // A source of more than the tensors that there are.
  ask(Legacy::CreateGraph);
  ask(Legacy::AddChannel, std::uint16_t{65535});
  ask(Legacy::AddChannel, std::uint16_t{1});
  ask(add(1, kNone, 0, 200));
  ask(add(2, 0, kNone));
  ask(add(3, kNone, 1));
  ask(add(4, 1, kNone));
  EXPECT_THAT(ask(Legacy::StartGraph, std::uint32_t{300}), StartsWith("ERR graph-failed the run has ended after "));
}

// ---- schemas

TEST_F(Version0Test, schemas_are_numbers_and_need_not_be_known) {
  ask(Legacy::CreateGraph);
  ask(Legacy::AddChannel, std::uint16_t{1});
  EXPECT_EQ(ask(add_typed(1, kNone, 0, 0, 77)), "OK OPERATOR id=1 kind=synthetic-source\n");
  EXPECT_EQ(graph_v0().graph->find_channel(0)->schema(), 77U);
  EXPECT_EQ(graph::graph_set().schemas().name_of(77), "v0-77");
  EXPECT_EQ(ask(add_typed(2, 0, kNone, 1001, 0)),
            "ERR graph-schema-mismatch channel 0 and operator 'op2': the channel expects schema 77 (v0-77), given is "
            "1001 (text)\n");
  EXPECT_EQ(ask(add_typed(2, 0, kNone, 77, 0)), "OK OPERATOR id=2 kind=sink\n");
}

TEST_F(Version0Test, a_refused_operator_leaves_no_schema_behind) {
  ask(Legacy::CreateGraph);
  const std::size_t before = graph::graph_set().schemas().size();
  EXPECT_THAT(ask(add_typed(1, 3, 4, 501, 502)), StartsWith("ERR graph-unknown-channel "));
  EXPECT_THAT(ask(add_typed(1, 3, 4, 501, 501)), StartsWith("ERR graph-unknown-channel "));
  EXPECT_EQ(graph::graph_set().schemas().size(), before);
  ASSERT_TRUE(graph::graph_set().schemas().add("v0-503", 9999).has_value());
  EXPECT_EQ(ask(add_typed(1, 3, 4, 502, 503)),
            "ERR graph-duplicate-schema schema 'v0-503' has another id, or 503 another name\n");
  EXPECT_TRUE(graph::graph_set().schemas().name_of(502).empty());
}

// ---- deterministic

TEST_F(Version0Test, the_graph_gets_a_server_that_its_run_is_promised) {
  build();
  EXPECT_EQ(ask(Legacy::EnableDeterministic, 2 * kMs, 10 * kMs, 8 * kMs), "OK DETERMINISTIC density_ppm=250000\n");
  ASSERT_TRUE(graph_v0().runner->server().has_value());
  EXPECT_EQ(graph_v0().runner->server()->budget, static_cast<sched::Time>(2 * kMs));
  EXPECT_EQ(graph_v0().runner->server()->deadline, static_cast<sched::Time>(8 * kMs));
  EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 0U);  // not before it runs
  EXPECT_THAT(ask(Legacy::StartGraph, std::uint32_t{5}), StartsWith("OK RUN steps=5 executions=15 "));
}

TEST_F(Version0Test, what_does_not_fit_is_refused_with_the_arithmetic_and_the_old_promise_stays) {
  ask(Legacy::CreateGraph);  // also without operators
  ask(Legacy::EnableDeterministic, 1 * kMs, 10 * kMs, 10 * kMs);
  EXPECT_EQ(ask(Legacy::EnableDeterministic, 9 * kMs, 10 * kMs, 10 * kMs),
            "ERR graph-not-admitted graph 'v0' does not fit on CPU 0: it needs 900000 ppm, 0 are promised of at most "
            "850000\n");
  build();
  ask(Legacy::EnableDeterministic, 1 * kMs, 10 * kMs, 10 * kMs);
  EXPECT_THAT(ask(Legacy::EnableDeterministic, 9 * kMs, 10 * kMs, 10 * kMs), StartsWith("ERR graph-not-admitted "));
  EXPECT_EQ(graph_v0().runner->server()->budget, static_cast<sched::Time>(kMs));
  EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 0U);
}

TEST_F(Version0Test, times_that_no_server_can_have_are_refused) {
  EXPECT_EQ(ask(Legacy::EnableDeterministic, kMs, kMs, kMs),
            "ERR graph-unknown there is no graph 'v0': CreateGraph makes it\n");
  ask(Legacy::CreateGraph);
  EXPECT_EQ(ask(Legacy::EnableDeterministic, std::uint64_t{0}, kMs, kMs),
            "ERR bad-argument wcet_ns: found 0, allowed: an integer from 1 to 1000000000000\n");
  EXPECT_EQ(ask(Legacy::EnableDeterministic, kMs, ~std::uint64_t{0}, kMs),
            "ERR bad-argument period_ns: found 18446744073709551615, allowed: an integer from 1 to 1000000000000\n");
  EXPECT_EQ(ask(Legacy::EnableDeterministic, kMs, kMs, 1'000'000 * kMs + 1),
            "ERR bad-argument deadline_ns: found 1000000000001, allowed: an integer from 1 to 1000000000000\n");
  EXPECT_EQ(ask(Legacy::EnableDeterministic, 3 * kMs, 10 * kMs, 2 * kMs),
            "ERR graph-bad-server graph 'v0': expected 0 < budget <= deadline <= period <= 1000 s\n");
  EXPECT_FALSE(graph_v0().runner->server().has_value());
}

// ---- refusals of arguments

TEST_F(Version0Test, what_cannot_be_is_refused_and_changes_nothing) {
  EXPECT_EQ(ask(Legacy::AddChannel, std::uint16_t{1}),
            "ERR graph-unknown there is no graph 'v0'; 'graph list' lists them\n");
  EXPECT_THAT(ask(add(1, kNone, 0)), StartsWith("ERR graph-unknown "));
  EXPECT_THAT(ask(Legacy::StartGraph, std::uint32_t{1}), StartsWith("ERR graph-unknown "));
  ask(Legacy::CreateGraph);
  EXPECT_EQ(ask(Legacy::AddChannel, std::uint16_t{0}),
            "ERR bad-argument capacity: found 0, allowed: an integer from 1 to 65535\n");
  ask(Legacy::AddChannel, std::uint16_t{65535});
  EXPECT_EQ(ask(add(1, kNone, kNone)), "ERR graph-bad-operator operator 1 has neither an input nor an output\n");
  EXPECT_EQ(ask(add(1, kNone, 0, 0, 5)), "ERR bad-argument stage: found 5, allowed: an integer from 0 to 4\n");
  EXPECT_EQ(ask(add(0, kNone, 0)), "ERR bad-argument id: found 0, allowed: an integer from 1 to 4294967295\n");
  EXPECT_EQ(ask(add(1, kNone, 1)), "ERR graph-unknown-channel operator 'op1': there is no channel 1\n");
  EXPECT_EQ(graph_v0().graph->operators().size(), 0U);
  EXPECT_THAT(ask(add(0xffff'ffff, kNone, 0)), StartsWith("OK"));
  EXPECT_EQ(ask(add(2, kNone, 0)),
            "ERR graph-channel-taken operator 'op2': channel 0 has a producer already, 'op4294967295'\n");
  EXPECT_EQ(ask(Legacy::StartGraph, std::uint32_t{1}),
            "ERR graph-incomplete channel 0 of graph 'v0' has no consumer\n");
}

TEST_F(Version0Test, a_graph_that_runs_is_not_changed) {
  build();
  TestClient other;
  ASSERT_TRUE(other.connect(server.legacy_listener()));
  threads::start("test", [&] {
    other.send(legacy(Legacy::StartGraph, std::uint32_t{50}));
    client.send(legacy(Legacy::AddChannel, std::uint16_t{1}));
    client.send(legacy(Legacy::EnableDeterministic, kMs, 10 * kMs, 10 * kMs));
    client.send(legacy(Legacy::StartGraph, std::uint32_t{1}));
  });
  threads::run_until_idle();
  EXPECT_EQ(text_of(client.stream.take_sent()),
            "ERR graph-busy graph 'v0' is running: stop it first\n"
            "ERR graph-busy graph 'v0' is running\n"
            "ERR graph-busy graph 'v0' is running\n");
  EXPECT_THAT(text_of(other.stream.take_sent()), StartsWith("OK RUN steps=50 executions=150 "));
  other.stream.disconnect();
}

TEST_F(Version0Test, machine_without_models_says_so) {
  for (const std::string& said :
       {ask(Legacy::LlmLoad), ask(Legacy::LlmInferStart, std::uint16_t{8}, 'w', 'h', 'y'),
        ask(Legacy::LlmInferPoll, std::uint32_t{0}), ask(Legacy::LlmCancel, std::uint32_t{0})}) {
    EXPECT_THAT(said, StartsWith("ERR unavailable this machine has no LLM service"));
  }
}

TEST_F(Version0Test, frames_that_are_wrong_are_refused_and_the_connection_goes_on) {
  EXPECT_EQ(ask(RawFrame{.version = 0, .command = 1, .flags = 1, .payload = packed(kDevelopment)}.bytes()),
            "ERR malformed-frame the flags of a frame must be 0\n");
  EXPECT_EQ(ask(RawFrame{.version = 0, .command = 1, .payload = {1, 2, 3, 4, 5, 6, 7}}.bytes()),
            "ERR malformed-frame the payload is too short for a token of 8 bytes\n");
  EXPECT_EQ(ask(RawFrame{.version = 0, .command = 1}.bytes()),
            "ERR malformed-frame the payload is too short for a token of 8 bytes\n");
  EXPECT_EQ(ask(RawFrame{.version = 0, .command = 7, .payload = packed(kDevelopment)}.bytes()),
            "ERR unknown-command 0x7 is no command, allowed: 0x1 to 0x6, 0x10 to 0x13\n");
  EXPECT_EQ(ask(Legacy::CreateGraph, std::uint8_t{0}),
            "ERR bad-argument CreateGraph: found 1 bytes behind the token, allowed: 0\n");
  EXPECT_EQ(ask(Legacy::AddChannel, std::uint8_t{1}),
            "ERR bad-argument AddChannel: found 1 bytes behind the token, allowed: 2\n");
  EXPECT_EQ(ask(Legacy::AddOperatorTyped, std::uint64_t{1}, std::uint64_t{1}),
            "ERR bad-argument AddOperatorTyped: found 16 bytes behind the token, allowed: 18\n");
  EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
  EXPECT_EQ(machine.counter("control_bad_frames"), 4U);
}

TEST_F(Version0Test, answers_are_counted_by_their_kind) {
  ask(Legacy::CreateGraph);
  ask(Legacy::AddChannel, std::uint16_t{1});
  ask(Legacy::AddChannel, std::uint16_t{0});
  EXPECT_EQ(machine.counter("control_requests"), 3U);
  EXPECT_EQ(machine.counter("control_replies_ok"), 2U);
  EXPECT_EQ(machine.counter("control_replies_error"), 1U);
  EXPECT_EQ(machine.counter("control_error_bad_argument"), 1U);
  EXPECT_EQ(machine.counter("control_tokens_accepted"), 3U);
}

TEST_F(Version0Test, every_truncation_waits_for_its_rest) {
  const Bytes whole = legacy(Legacy::CreateGraph);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    TestClient other;
    ASSERT_TRUE(other.connect(server.legacy_listener()));
    send(other, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)));
    EXPECT_TRUE(other.stream.take_sent().empty()) << cut;
    send(other, Bytes(whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end()));
    EXPECT_EQ(text_of(other.stream.take_sent()), "OK GRAPH name=v0\n") << cut;
    other.stream.disconnect();
  }
  // Whoever leaves in the middle of a frame has asked for nothing.
  send(client, Bytes(whole.begin(), whole.end() - 1));
  client.stream.end_sending();
  EXPECT_TRUE(client.stream.closed);
  EXPECT_TRUE(client.stream.take_sent().empty());
}

TEST_F(Version0Test, a_frame_that_is_too_long_ends_the_connection) {
  EXPECT_EQ(ask(RawFrame{.version = 0, .command = 1, .length = 1025}.bytes()),
            "ERR too-large a frame's payload is at most 1024 bytes before a token was accepted\n");
  EXPECT_TRUE(client.stream.closed);
  TestClient other;
  ASSERT_TRUE(other.connect(server.legacy_listener()));
  send(other, legacy(Legacy::CreateGraph));
  send(other, RawFrame{.version = 0, .command = 1, .length = 65537}.bytes());
  EXPECT_EQ(text_of(other.stream.take_sent()),
            "OK GRAPH name=v0\nERR too-large a frame's payload is at most 65536 bytes\n");
  EXPECT_TRUE(other.stream.closed);
  other.stream.disconnect();
}

TEST_F(Version0Test, another_version_ends_the_connection_in_the_one_that_it_speaks) {
  EXPECT_EQ(ask(call(1, "ping")), "ERR unsupported-version the protocol version of this connection is 0\n");
  EXPECT_TRUE(client.stream.closed);

  TestClient new_one;
  ASSERT_TRUE(new_one.connect(server));
  new_one.hello();
  const Answer refused = new_one.ask(legacy(Legacy::CreateGraph));
  EXPECT_EQ(refused.code(), "unsupported-version");
  EXPECT_EQ(refused.message(), "the protocol version of this connection is 1");
  EXPECT_TRUE(new_one.stream.closed);
  new_one.stream.disconnect();

  TestClient old_one;  // on the port of version 1, before any token
  ASSERT_TRUE(old_one.connect(server));
  send(old_one, legacy(Legacy::CreateGraph));
  send(old_one, call(1, "ping"));
  EXPECT_EQ(text_of(old_one.stream.take_sent()),
            "ERR token-invalid the token is none of this machine's\n"
            "ERR unsupported-version the protocol version of this connection is 0\n");
  EXPECT_TRUE(old_one.stream.closed);
  old_one.stream.disconnect();
}

TEST_F(Version0Test, what_is_no_frame_ends_the_connection) {
  send(client, RawFrame{.magic = 'G', .version = 'E', .command = 'T', .flags = ' '}.bytes());
  EXPECT_EQ(text_of(client.stream.take_sent()), "ERR malformed-frame the first byte of a frame must be 'C' (0x43)\n");
  EXPECT_TRUE(client.stream.closed);
}

}  // namespace
}  // namespace guest::control::testing
