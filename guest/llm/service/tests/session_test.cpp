// Sequences that stay between requests.
#include <gtest/gtest.h>

#include "guest/llm/service/testing/bench.hpp"

namespace guest::llm {
namespace {

using testing::Bench;
using testing::in_thread;
using testing::kMs;
using testing::tokens_of;

RequestOptions session_options(std::uint32_t max_tokens) { return {.model = "tiny", .max_tokens = max_tokens}; }

RequestOptions in_new_session(std::uint32_t max_tokens) {
  RequestOptions made = session_options(max_tokens);
  made.keep = KeepSession::New;
  return made;
}

RequestOptions in_session(SessionId session, std::uint32_t max_tokens) {
  RequestOptions made = session_options(max_tokens);
  made.session = session;
  return made;
}

// Of one prompt in two parts: the model has said nothing in between that counts, since the first request ends with its
// only token, which is then part of the session.
TEST(Session, goes_on_behind_what_was_said) {
  in_thread([] {
    Bench bench;
    const RequestId first = bench.submit(in_new_session(5));
    const std::vector<Token> begin = tokens_of(bench.read_all(first));
    const SessionId session = bench.poll(first).session;
    EXPECT_NE(session, 0U);
    const RequestId second = bench.submit(in_session(session, 5), "two");
    const std::vector<Token> rest = tokens_of(bench.read_all(second));
    EXPECT_EQ(bench.poll(second).session_tokens, 5 + 5U);
    EXPECT_EQ(bench.poll(second).prompt_tokens, 3U);  // without a beginning
    // The same tokens as one prompt: "one", what was said, "two". A byte's token is the byte + 3.
    std::string prompt = "one";
    for (const Token token : begin) {
      ASSERT_GE(token, 3U);
      ASSERT_LT(token, 259U) << "a token that no prompt makes: take another seed";
      prompt += static_cast<char>(token - 3);
    }
    EXPECT_EQ(tokens_of(bench.read_all(bench.submit(session_options(5), prompt + "two"))), rest);
  });
}

TEST(Session, that_is_cancelled_before_it_said_anything_is_as_it_was) {
  in_thread([] {
    Bench bench({.step_tokens = 1});
    const RequestId first = bench.submit(in_new_session(4));
    bench.read_all(first);
    const SessionId session = bench.poll(first).session;
    const RequestId second = bench.submit(in_session(session, 4), "something");
    threads::sleep_for(3 * testing::kStepNs + testing::kStepNs / 2);
    EXPECT_TRUE(bench->cancel({.owner = 1}, second));
    EXPECT_EQ(bench.wait_for_end(second).tokens, 0U);
    const RequestId third = bench.submit(in_session(session, 4), "two");
    EXPECT_EQ(bench.poll(third).session_tokens, bench.poll(second).session_tokens);
    EXPECT_EQ(tokens_of(bench.read_all(third)).size(), 4U);
  });
}

TEST(Session, has_one_request_at_a_time_of_its_owner_and_model) {
  in_thread([] {
    Bench bench;
    bench.load("other", testing::service_model(64, 2));
    const RequestId first = bench.submit(in_new_session(20));
    const SessionId session = bench.poll(first).session;
    EXPECT_EQ(bench.refusal(in_session(session, 1)), "llm-session-busy: request 1 of session 1 has not finished");
    EXPECT_FALSE(bench->close_session(1, session));
    bench.read_all(first);
    EXPECT_EQ(bench.refusal(in_session(session, 1), "x", {.owner = 2}),
              "llm-no-session: no session 1: closed, evicted, or somebody else's");
    RequestOptions elsewhere = in_session(session, 1);
    elsewhere.model = "other";
    EXPECT_EQ(bench.refusal(elsewhere), "llm-bad-session: session 1 is of model \"tiny\"");
    EXPECT_EQ(bench.refusal(in_session(session, 1), std::string(110, 'x')),
              "llm-prompt-too-long: 110 tokens, but there is room for 103 of 128");
    EXPECT_FALSE(bench->unload({}, "tiny"));
    EXPECT_TRUE(bench->close_session(1, session));
    EXPECT_TRUE(bench->unload({}, "tiny"));
  });
}

TEST(Session, that_was_used_longest_ago_makes_room) {
  in_thread([] {
    Bench bench({.sessions = 2});
    SessionId sessions[3] = {};
    for (int i = 0; i < 2; ++i) {
      const RequestId id = bench.submit(in_new_session(2));
      bench.read_all(id);
      sessions[i] = bench.poll(id).session;
    }
    bench.read_all(bench.submit(in_session(sessions[0], 1), "x"));
    const RequestId third = bench.submit(in_new_session(2));
    bench.read_all(third);
    EXPECT_EQ(bench.refusal(in_session(sessions[1], 1)),
              "llm-no-session: no session 2: closed, evicted, or somebody else's");
    EXPECT_EQ(bench.refusal(in_session(sessions[0], 1)), "taken");
    EXPECT_EQ(bench->statistics().evicted_sessions, 1U);
    EXPECT_EQ(bench->statistics().sessions, 2U);
    threads::sleep_for(10 * kMs);
    // The model's file, the steps' memory, and two sequences.
    EXPECT_EQ(bench.npu.read_counters()->regions, 4U);
  });
}

TEST(Session, is_refused_where_all_are_in_use_or_there_is_no_room) {
  in_thread([] {
    Bench bench({.sessions = 1});
    bench.submit(in_new_session(20));
    EXPECT_EQ(bench.refusal(in_new_session(2)), "llm-too-many-sessions: 1 sessions are in use, expected fewer than 1");
  });
  in_thread([] {
    // 2 x 1 layer x 128 positions x 16 elements x 4 bytes.
    Bench bench({.session_bytes = 16'383});
    EXPECT_EQ(bench.refusal(in_new_session(2)),
              "llm-session-memory: a session of 16384 bytes, but 0 of 16383 are in use");
  });
}

}  // namespace
}  // namespace guest::llm
