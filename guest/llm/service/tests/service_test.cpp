// Requests: what comes out of them, and what ends them.
#include "guest/llm/service/service.hpp"

#include <gtest/gtest.h>

#include <set>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/llm/service/testing/bench.hpp"

namespace guest::llm {
namespace {

using testing::Bench;
using testing::in_thread;
using testing::kMs;
using testing::kStepNs;
using testing::text_of;
using testing::tokens_of;

RequestOptions request_of(std::uint32_t max_tokens, std::uint8_t priority = 3) {
  return {.model = "tiny", .max_tokens = max_tokens, .priority = priority};
}

TEST(Service, answers_in_chunks_that_are_counted) {
  in_thread([] {
    Bench bench;
    const RequestId id = bench.submit(request_of(12));
    const std::vector<Chunk> chunks = bench.read_all(id);
    const RequestStatus status = bench.poll(id);
    EXPECT_EQ(to_string(status.stop), "length");
    EXPECT_EQ(tokens_of(chunks).size(), 12U);
    EXPECT_EQ(status.tokens, 12U);
    EXPECT_EQ(status.prompt_tokens, 5U);  // <s>, a space, three bytes
    EXPECT_EQ(status.chunks, chunks.size());
    EXPECT_EQ(status.time_to_first_token_ns(), kStepNs);
    EXPECT_EQ(status.worst_gap_ns, kStepNs);
    EXPECT_EQ(status.milli_tokens_per_second(), 10'000'000U);
    EXPECT_GT(status.cycles, 12 * 1000U);
    const StatisticsSnapshot totals = bench->statistics();
    EXPECT_EQ(totals.tokens_out, 12U);
    EXPECT_EQ(totals.stream_chunks, chunks.size());
    EXPECT_EQ(totals.steps, 12U);
    EXPECT_EQ(totals.cycles, status.cycles);
    EXPECT_EQ(totals.prompt_tokens, 5U);
    EXPECT_EQ(bench->timings().infer.max(), 12 * kStepNs);
    EXPECT_EQ(bench->timings().gap.count(), 11U);
  });
}

TEST(Service, tells_finished_from_drained) {
  in_thread([] {
    Bench bench;
    const RequestId id = bench.submit(request_of(3));
    EXPECT_TRUE(bench.poll(id).drained);  // nothing has come
    EXPECT_FALSE(bench.poll(id).finished);
    bench.wait_for_end(id);
    EXPECT_TRUE(bench.poll(id).finished);
    EXPECT_FALSE(bench.poll(id).drained);
    std::array<Chunk, 2> two;
    EXPECT_EQ(bench->read(1, id, 0, two).value(), 2U);
    EXPECT_EQ(bench->read(1, id, 1, two).value(), 2U);  // again, but for the first one
    EXPECT_EQ(two[0].number, 1U);
    const auto gone = bench->read(1, id, 0, two);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().detail.view(), "chunk 0 of request 1, expected 1 to 3");
    EXPECT_EQ(bench->read(1, id, 3, two).value(), 0U);
    EXPECT_TRUE(bench.poll(id).drained);
  });
}

TEST(Service, answers_alike_alone_and_among_others) {
  in_thread([] {
    Bench bench({.in_flight = 8, .step_tokens = 3});
    const std::vector<Token> alone = tokens_of(bench.read_all(bench.submit(request_of(20), "same")));
    std::vector<RequestId> ids;
    for (int i = 0; i < 8; ++i) {
      ids.push_back(bench.submit(request_of(20), i % 2 == 0 ? "same" : "other"));
    }
    for (int i = 0; i < 8; i += 2) {
      EXPECT_EQ(tokens_of(bench.read_all(ids[static_cast<std::size_t>(i)])), alone);
    }
  });
}

/// Regression: the worker went to sleep with the sequence of what it had just ended, and kept it until the next
/// request.
TEST(Service, memory_of_a_request_that_ends_between_its_turns_is_free_soon) {
  in_thread([] {
    Bench bench({.stream_chunks = 32});
    // Nobody reads, so after some tokens it has no turns until it is over.
    const RequestId id = bench.submit({.model = "tiny", .max_tokens = 50, .deadline_ns = 40 * kStepNs});
    EXPECT_EQ(bench.wait_for_end(id).stop, StopReason::Deadline);
    threads::sleep_for(10 * kMs);
    EXPECT_EQ(bench.npu.read_counters()->regions, 2U);  // the model's file, and the steps' memory
  });
}

TEST(Service, without_memory_refuses_or_fails_a_request) {
  in_thread([] {
    Bench bench;
    bench.journal.keeps = false;
    std::set<std::string> said;
    std::string outcome;
    kernel::fail_each_allocation(
        [&] {
          const auto id = bench->submit({.owner = 1}, "one", request_of(2));
          if (!id) {
            outcome = id.error().error.name;
            return;
          }
          const RequestStatus status = bench.wait_for_end(*id);
          outcome = status.stop == StopReason::Failed ? status.error.name : to_string(status.stop);
          EXPECT_TRUE(bench->release({.owner = 1}, *id));
        },
        [&] { said.insert(outcome); });
    EXPECT_EQ(outcome, "length");
    EXPECT_EQ(said, (std::set<std::string>{"llm-no-memory", "ml-no-memory", "tokenizer-no-memory"}));
    threads::sleep_for(kMs);
    const StatisticsSnapshot now = bench->statistics();
    EXPECT_EQ(now.running + now.queue_depth + now.kept, 0U);
    EXPECT_EQ(bench.npu.read_counters()->regions, 2U);
    EXPECT_TRUE(bench->unload({}, "tiny"));  // which nobody uses any more
  });
}

TEST(Service, without_memory_loads_no_model) {
  in_thread([] {
    Bench bench;
    const std::string file = testing::service_model(64, 2);
    const auto memory = *ml::Memory::make(file.size());
    std::memcpy(memory->bytes().data(), file.data(), file.size());
    bool loaded = false;
    kernel::fail_each_allocation(
        [&] {
          loaded = bench->load({}, "other", memory->bytes()).has_value();
          if (loaded) {
            EXPECT_TRUE(bench->unload({}, "other"));
          }
        },
        [&] {
          EXPECT_FALSE(loaded);
          EXPECT_EQ(bench.npu.read_counters()->regions, 2U);
        });
    EXPECT_TRUE(loaded);
    EXPECT_EQ(bench.npu.read_counters()->regions, 2U);
  });
}

TEST(Service, says_when_something_has_changed) {
  static int changes = 0;
  changes = 0;
  in_thread([] {
    kernel::WorkItem changed([](void*) { ++changes; }, nullptr);
    Bench bench({}, &changed);
    bench.read_all(bench.submit(request_of(5)));
    threads::sleep_for(kMs);
  });
  EXPECT_GE(changes, 1);
  EXPECT_LE(changes, 5);
}

TEST(Service, samples_by_the_seed) {
  in_thread([] {
    Bench bench;
    RequestOptions sampled = request_of(16);
    sampled.sampler = {.rules = {.temperature_milli = 1500}, .seed = 5};
    const std::vector<Token> first = tokens_of(bench.read_all(bench.submit(sampled)));
    EXPECT_EQ(tokens_of(bench.read_all(bench.submit(sampled))), first);
    sampled.sampler.seed = 6;
    EXPECT_NE(tokens_of(bench.read_all(bench.submit(sampled))), first);
  });
}

TEST(Service, ends_before_a_stop_word) {
  in_thread([] {
    Bench bench;
    const std::string whole = text_of(bench.read_all(bench.submit(request_of(12))));
    ASSERT_GT(whole.size(), 6U);
    RequestOptions stopping = request_of(12);
    const std::string word = whole.substr(4, 2);
    static_cast<void>(stopping.stop_words.push_back(word));
    const RequestId id = bench.submit(stopping);
    const std::string text = text_of(bench.read_all(id));
    EXPECT_EQ(to_string(bench.poll(id).stop), "stop-word");
    EXPECT_EQ(text, whole.substr(0, whole.find(word)));
  });
}

TEST(Service, gives_turns_by_priority_and_in_turn) {
  in_thread([] {
    Bench bench;
    const RequestId low = bench.submit(request_of(4, 1));
    const RequestId a = bench.submit(request_of(4, 5));
    const RequestId b = bench.submit(request_of(4, 5));
    for (const RequestId id : {low, a, b}) {
      bench.wait_for_end(id);
    }
    // a and b take turns, and the low one comes behind.
    EXPECT_EQ(bench.poll(b).finished_ns - bench.poll(a).finished_ns, kStepNs);
    EXPECT_GE(bench.poll(low).first_token_ns, bench.poll(b).finished_ns);
    EXPECT_EQ(bench.poll(a).worst_gap_ns, 2 * kStepNs);
  });
}

TEST(Service, that_is_not_read_stops_one_request_only) {
  in_thread([] {
    Bench bench({.in_flight = 1, .stream_chunks = 32});
    const RequestId slow = bench.submit(request_of(60, 7));
    const RequestId other = bench.submit(request_of(60, 1));
    EXPECT_EQ(tokens_of(bench.read_all(other)).size(), 60U);
    const RequestStatus stuck = bench.poll(slow);
    EXPECT_EQ(to_string(stuck.state), "running");
    EXPECT_LT(stuck.chunks, 32U);
    EXPECT_GT(stuck.chunks, 0U);
    EXPECT_EQ(tokens_of(bench.read_all(slow)).size(), 60U);
    EXPECT_EQ(to_string(bench.poll(slow).stop), "length");
  });
}

TEST(Service, cancels_within_a_step_and_no_other) {
  in_thread([] {
    Bench bench({.in_flight = 2});
    const RequestId running = bench.submit(request_of(100));
    const RequestId other = bench.submit(request_of(20));
    const RequestId queued = bench.submit(request_of(100));
    EXPECT_TRUE(bench->wait(1, running, 2));
    threads::sleep_for(kStepNs / 2);
    const std::uint64_t asked = threads::now_ns();
    EXPECT_TRUE(bench->cancel({.owner = 1}, queued));
    EXPECT_EQ(to_string(bench.poll(queued).stop), "cancelled");
    EXPECT_TRUE(bench->cancel({.owner = 1}, running));
    bench.wait_for_end(running);
    const RequestStatus status = bench.poll(running);
    EXPECT_EQ(to_string(status.stop), "cancelled");
    EXPECT_LE(status.finished_ns, asked + kStepNs);
    EXPECT_EQ(tokens_of(bench.read_all(other)).size(), 20U);
    EXPECT_TRUE(bench->cancel({.owner = 1}, running));  // of a finished one: nothing
    EXPECT_EQ(bench->statistics().cancelled, 2U);
  });
}

TEST(Service, frees_what_an_owner_had_when_it_closes) {
  in_thread([] {
    Bench bench;
    RequestOptions keeping = request_of(50);
    keeping.keep = KeepSession::New;
    const RequestId id = bench.submit(keeping);
    bench.submit(request_of(50));
    const RequestId other = bench.submit(request_of(5), "two", {.owner = 2});
    EXPECT_TRUE(bench->wait(1, id, 1));
    bench->close({.owner = 1});
    EXPECT_FALSE(bench->poll(1, id));
    bench.read_all(other, 2);
    threads::sleep_for(kMs);
    const StatisticsSnapshot now = bench->statistics();
    EXPECT_EQ(now.running + now.queue_depth + now.sessions, 0U);
    EXPECT_EQ(now.kept, 1U);
    EXPECT_EQ(now.session_bytes, 0U);
  });
}

TEST(Service, does_not_show_a_request_to_others) {
  in_thread([] {
    Bench bench;
    const RequestId id = bench.submit(request_of(5));
    EXPECT_FALSE(bench->poll(2, id));
    EXPECT_FALSE(bench->cancel({.owner = 2}, id));
    const auto poll = bench->poll(2, id);
    EXPECT_EQ(poll.error().detail.view(), "no request 1: released, evicted, or somebody else's");
    std::vector<RequestStatus> list(4);
    EXPECT_EQ(bench->list(2, list), 0U);
    EXPECT_EQ(bench->list(1, list), 1U);
    EXPECT_EQ(bench->list(0, list), 1U);
    EXPECT_EQ(list[0].id, id);
  });
}

TEST(Service, misses_a_deadline_and_says_so) {
  in_thread([] {
    Bench bench({.in_flight = 1});
    RequestOptions hurried = request_of(100);
    hurried.deadline_ns = 5 * kStepNs + kStepNs / 2;
    const RequestId id = bench.submit(hurried);
    const RequestId queued = bench.submit(hurried);
    const std::size_t tokens = tokens_of(bench.read_all(id)).size();
    EXPECT_EQ(to_string(bench.poll(id).stop), "deadline");
    EXPECT_EQ(tokens, 5U);
    bench.wait_for_end(queued);
    EXPECT_EQ(to_string(bench.poll(queued).stop), "deadline");
    EXPECT_EQ(bench->statistics().deadline_misses, 2U);
    EXPECT_EQ(bench.journal.lines.back(), "end deadline 4");
  });
}

TEST(Service, misses_a_deadline_in_the_queue_when_it_comes) {
  in_thread([] {
    Bench bench({.in_flight = 1});
    const RequestId first = bench.submit(request_of(30));
    RequestOptions hurried = request_of(1);
    hurried.deadline_ns = 5 * kStepNs + kStepNs / 2;
    const RequestId queued = bench.submit(hurried);
    const RequestStatus status = bench.wait_for_end(queued);
    EXPECT_EQ(to_string(status.stop), "deadline");
    EXPECT_LE(status.finished_ns, status.due_ns + kStepNs);
    EXPECT_EQ(tokens_of(bench.read_all(first)).size(), 30U);
  });
}

TEST(Service, refuses_what_does_not_fit_with_its_size) {
  in_thread([] {
    Bench bench({.requests_per_owner = 2, .prompt_bytes = 300});
    EXPECT_EQ(bench.refusal(request_of(1), std::string(301, 'x')),
              "llm-prompt-too-large: 301 bytes, expected at most 300");
    EXPECT_EQ(bench.refusal(request_of(1), std::string(200, 'x')),
              "llm-prompt-too-long: 202 tokens, but there is room for 128 of 128");
    EXPECT_EQ(bench.refusal(request_of(0)), "llm-bad-option: max-tokens 0, expected at least 1");
    EXPECT_EQ(bench.refusal(request_of(1, 8)), "llm-bad-option: priority 8, expected at most 7");
    EXPECT_EQ(bench.refusal(request_of(1), "one", {.owner = 1, .client_class = 1}),
              "llm-bad-option: client class 1, expected one below 1");
    RequestOptions other = request_of(1);
    other.model = "big\n";
    EXPECT_EQ(bench.refusal(other), "llm-no-model: no model \"big\\n\" is loaded");
    EXPECT_EQ(bench.journal.lines.back(), "refuse llm-no-model 2");
    EXPECT_EQ(bench.refusal(request_of(1)), "taken");
    EXPECT_EQ(bench.refusal(request_of(1)), "taken");
    EXPECT_EQ(bench.refusal(request_of(1)),
              "llm-too-many-requests: 2 requests that have not ended or are not read, expected at most 2");
    EXPECT_EQ(bench->statistics().rejects, 7U);
  });
}

TEST(Service, uses_the_whole_context_and_no_more) {
  in_thread([] {
    Bench bench;
    const RequestId id = bench.submit(request_of(100), std::string(126, 'x'));  // 128 tokens
    EXPECT_EQ(tokens_of(bench.read_all(id)).size(), 1U);
    EXPECT_EQ(to_string(bench.poll(id).stop), "length");
  });
}

TEST(Service, has_a_bounded_queue_and_forgets_what_was_read) {
  in_thread([] {
    Bench bench({.requests = 3, .requests_per_owner = 3, .queue = 2, .in_flight = 1});
    const RequestId first = bench.submit(request_of(3));
    bench.submit(request_of(3));
    EXPECT_EQ(bench.refusal(request_of(3)), "llm-queue-full: 2 requests wait, which is as many as may");
    bench.read_all(first);
    bench.wait_for_end(first);
    bench.wait_for_end(2);
    bench.submit(request_of(3));
    bench.wait_for_end(3);
    // Of the first one all has been read and told; of the other two not all has been read.
    const RequestId fourth = bench.submit(request_of(3));
    EXPECT_FALSE(bench->poll(1, first));
    bench.wait_for_end(fourth);
    EXPECT_EQ(bench.refusal(request_of(3), "one", {.owner = 2}),
              "llm-queue-full: all 3 places have requests that have not ended or are not read");
    EXPECT_TRUE(bench->release({.owner = 1}, 2));
    threads::sleep_for(kMs);
    EXPECT_EQ(bench.refusal(request_of(3), "one", {.owner = 2}), "taken");
    EXPECT_EQ(bench->statistics().evicted_results, 1U);
    EXPECT_EQ(bench->statistics().queue_depth_max, 2U);
  });
}

TEST(Service, ends_at_its_cycles) {
  in_thread([] {
    Bench bench;
    const RequestId free = bench.submit(request_of(10));
    bench.read_all(free);
    RequestOptions limited = request_of(10);
    limited.max_cycles = bench.poll(free).cycles / 2;
    const RequestId id = bench.submit(limited);
    const std::size_t tokens = tokens_of(bench.read_all(id)).size();
    EXPECT_EQ(to_string(bench.poll(id).stop), "budget");
    EXPECT_LE(bench.poll(id).cycles, limited.max_cycles);
    EXPECT_GT(tokens, 2U);
    EXPECT_LT(tokens, 8U);
  });
}

TEST(Service, keeps_models_that_are_in_use) {
  in_thread([] {
    Bench bench({.models = 2});
    bench.load("other", testing::service_model(64, 2));
    const RequestId id = bench.submit(request_of(5));
    const auto refusal = [&](const char* model) {
      const kernel::Outcome outcome = bench->unload({}, model);
      return outcome ? "unloaded" : std::string(outcome.error().detail.view());
    };
    EXPECT_EQ(refusal("tiny"), "1 requests and 0 sessions use \"tiny\"");
    std::vector<ModelStatus> models(4);
    EXPECT_EQ(bench->models(models), 2U);
    EXPECT_EQ(models[0].requests, 1U);
    EXPECT_EQ(models[1].context, 64U);
    bench.read_all(id);
    EXPECT_EQ(refusal("tiny"), "unloaded");
    EXPECT_EQ(refusal("tiny"), "no model \"tiny\" is loaded");
    EXPECT_EQ(bench.refusal(request_of(1)), "llm-no-model: no model \"tiny\" is loaded");
    RequestOptions other = request_of(4);
    other.model = "other";
    EXPECT_EQ(tokens_of(bench.read_all(bench.submit(other))).size(), 4U);
  });
}

TEST(Service, refuses_models_that_are_none) {
  in_thread([] {
    Bench bench({.models = 1});
    std::vector<std::byte> bytes(64);
    const auto refusal = [&](const char* id) {
      const kernel::Outcome outcome = bench->load({}, id, bytes);
      return outcome ? "loaded" : std::string(outcome.error().name);
    };
    EXPECT_EQ(refusal("a/b"), "llm-bad-model-id");
    EXPECT_EQ(refusal("tiny"), "llm-model-exists");
    EXPECT_EQ(refusal("more"), "llm-too-many-models");
    EXPECT_TRUE(bench->unload({}, "tiny"));
    EXPECT_EQ(refusal("tiny"), "gguf-bad-file");
    EXPECT_EQ(bench.journal.lines.back(), "load gguf-bad-file 2");
  });
}

TEST(Service, tells_the_audit_log_of_prompts_no_more_than_their_hash) {
  in_thread([] {
    Bench bench;
    bench.read_all(bench.submit(request_of(3), "abc"));
    EXPECT_EQ(bench.journal.lines, (std::vector<std::string>{"load ok 1", "submit ok 1", "end length 1"}));
    const AuditEntry& end = bench.journal.last;
    EXPECT_EQ(end.prompt_bytes, 3U);
    // FIPS 180-4: SHA-256 of "abc" begins with ba7816bf.
    EXPECT_EQ(end.prompt_sha256[0], 0xBA);
    EXPECT_EQ(end.prompt_sha256[3], 0xBF);
    EXPECT_EQ(end.tokens, 3U);
    EXPECT_EQ(end.began_ns, end.submitted_ns);
    EXPECT_EQ(end.ended_ns - end.submitted_ns, 3 * kStepNs);
  });
}

}  // namespace
}  // namespace guest::llm
