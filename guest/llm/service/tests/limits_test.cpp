// Budgets: tokens and cycles of periods, on the clock of the test.
#include <gtest/gtest.h>

#include <map>

#include "guest/llm/service/testing/bench.hpp"

namespace guest::llm {
namespace {

using testing::Bench;
using testing::in_thread;
using testing::kMs;
using testing::kStepNs;
using testing::tokens_of;

RequestOptions options(std::uint32_t max_tokens, std::uint8_t priority = 3) {
  return {.model = "tiny", .max_tokens = max_tokens, .priority = priority};
}

TEST(Budget, refuses_with_the_time_at_which_it_fits) {
  in_thread([] {
    Bench bench({.period_ns = 10 * kMs, .hold_periods = 2, .tokens_per_period = 20});
    EXPECT_EQ(bench.refusal(options(21)), "llm-never-fits: 21 tokens, but a period has 20");
    bench.submit(options(15));
    const auto refused = bench->submit({.owner = 1}, "one", options(6));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().error.name, "llm-over-budget");
    EXPECT_EQ(bench.journal.lines.back(), "refuse llm-over-budget 2");
    const std::uint64_t fits_at = refused.error().fits_at_ns;
    EXPECT_EQ(bench.journal.last.fits_at_ns, fits_at);
    EXPECT_LE(fits_at, threads::now_ns() + 20 * kMs);
    EXPECT_EQ(fits_at % (10 * kMs), 0U);
    threads::sleep_until(fits_at);
    EXPECT_EQ(bench.refusal(options(6)), "taken");
  });
}

// The service has room again when the first reservation ends, the class a period later.
TEST(Budget, fits_when_service_and_class_have_room) {
  in_thread([] {
    ServiceOptions limits{.in_flight = 1, .period_ns = kMs, .hold_periods = 2, .tokens_per_period = 40};
    static_cast<void>(limits.classes.push_back({.tokens_per_period = 20}));
    static_cast<void>(limits.classes.push_back({.tokens_per_period = 20}));
    Bench bench(limits);
    const std::uint64_t begin = (threads::now_ns() / kMs + 1) * kMs;
    threads::sleep_until(begin);
    bench.submit(options(20), "one", {.owner = 1, .client_class = 1});
    threads::sleep_until(begin + kMs);
    bench.submit(options(20));
    const auto refused = bench->submit({.owner = 1}, "one", options(15));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fits_at_ns, begin + 3 * kMs);
    threads::sleep_until(begin + 3 * kMs);
    bench.submit(options(15));
  });
}

TEST(Budget, ends_a_request_that_is_not_read_in_its_periods) {
  in_thread([] {
    Bench bench({.stream_chunks = 32, .period_ns = 10 * kMs, .hold_periods = 2, .tokens_per_period = 100});
    const RequestId id = bench.submit(options(100));
    threads::sleep_for(20 * kMs);
    EXPECT_EQ(to_string(bench.poll(id).stop), "budget");
    EXPECT_EQ(bench.refusal(options(100)), "taken");
  });
}

TEST(Budget, is_free_again_when_a_request_ends_early) {
  in_thread([] {
    ServiceOptions limits{.period_ns = 100 * kMs, .tokens_per_period = 40};
    static_cast<void>(limits.classes.push_back({.tokens_per_period = 30}));
    Bench bench(limits);
    const RequestId id = bench.submit(options(30));
    EXPECT_FALSE(bench->submit({.owner = 1}, "one", options(1)));
    EXPECT_TRUE(bench->wait(1, id, 0));
    EXPECT_TRUE(bench->cancel({.owner = 1}, id));
    const std::uint32_t said = bench.wait_for_end(id).tokens;
    EXPECT_EQ(bench->budget().used, said);
    EXPECT_EQ(bench->budget().reserved, 0U);
    EXPECT_EQ(bench->class_budget(0).reserved, 0U);
    EXPECT_FALSE(bench->submit({.owner = 1}, "one", options(30)));
    bench.submit(options(30 - said));
  });
}

// A greedy client of class 0, with the highest priority, and one whose class has its own tokens.
TEST(Budget, of_a_class_is_there_whatever_others_do) {
  in_thread([] {
    ServiceOptions limits{.in_flight = 4, .period_ns = 10 * kMs, .hold_periods = 1, .tokens_per_period = 40};
    for (const std::uint32_t tokens : {30U, 10U}) {
      ClientClass one{.tokens_per_period = tokens, .in_flight = 2};
      one.name.write("class");
      static_cast<void>(limits.classes.push_back(one));
    }
    Bench bench(limits);
    std::vector<std::vector<Token>> seen;
    for (int i = 0; i < 8; ++i) {
      const Caller greedy{.owner = 1};
      while (bench->submit(greedy, "one", options(10, 7))) {
      }
      const Caller guaranteed{.owner = 2, .client_class = 1};
      const RequestId id = bench.submit(options(10), "two", guaranteed);
      seen.push_back(tokens_of(bench.read_all(id, 2)));
      EXPECT_EQ(to_string(bench.poll(id, 2).stop), "length");
      EXPECT_LE(bench.poll(id, 2).finished_ns - bench.poll(id, 2).submitted_ns, 10 * kMs);
      bench->close(greedy);
      threads::sleep_until((threads::now_ns() / (10 * kMs) + 1) * 10 * kMs);
    }
    EXPECT_EQ(bench->class_budget(1).limit, 10U);
  });
}

/// The latest token of the requests that are still known.
std::uint64_t last_token_ns(const std::vector<RequestStatus>& requests) {
  std::uint64_t last = 0;
  for (const RequestStatus& one : requests) {
    last = std::max(last, one.last_token_ns);
  }
  return last;
}

// A client that asks for as much as it can, over 100 periods. A period has the time of ten steps. It looks three times
// in each step, so it sees every token by itself.
TEST(Budget, is_never_exceeded) {
  constexpr std::uint64_t kPeriod = kMs;
  std::map<std::uint64_t, std::uint64_t> by_period;
  in_thread([&] {
    Bench bench({.period_ns = kPeriod, .hold_periods = 3, .tokens_per_period = 7});
    bench.journal.keeps = false;
    std::uint64_t seed = 1;
    std::uint64_t counted = 0;
    const std::uint64_t end = threads::now_ns() + 100 * kPeriod;
    while (threads::now_ns() < end) {
      seed = seed * 6364136223846793005U + 1442695040888963407U;
      static_cast<void>(bench->submit({.owner = 1}, "a", options(1 + static_cast<std::uint32_t>(seed >> 40) % 7)));
      std::vector<RequestStatus> all(16);
      all.resize(std::min<std::size_t>(bench->list(1, all), all.size()));
      const std::uint64_t out = bench->statistics().tokens_out;
      ASSERT_LE(out - counted, 1U);
      by_period[last_token_ns(all) / kPeriod] += out - counted;
      counted = out;
      for (const RequestStatus& one : all) {
        if (one.finished && seed >> 60 < 8) {
          EXPECT_TRUE(bench->release({.owner = 1}, one.id));
        }
      }
      threads::sleep_for(kStepNs / 3);
    }
    EXPECT_GT(counted, 100 * 5U);
  });
  for (const auto& [period, count] : by_period) {
    EXPECT_LE(count, 7U) << period;
  }
}

TEST(Budget, of_cycles_stops_steps_until_there_are_more) {
  in_thread([] {
    std::uint64_t cycles = 0;
    {
      Bench bench;
      const RequestId id = bench.submit(options(20));
      bench.read_all(id);
      cycles = bench.poll(id).cycles;
    }
    // A twentieth of it is about a token for each period.
    Bench bench({.period_ns = kMs, .cycles_per_period = cycles / 20});
    const std::uint64_t begin = threads::now_ns();
    const RequestId id = bench.submit(options(20));
    EXPECT_EQ(tokens_of(bench.read_all(id)).size(), 20U);
    EXPECT_EQ(bench.poll(id).cycles, cycles);
    EXPECT_GE(threads::now_ns() - begin, 17 * kMs);
    EXPECT_LE(threads::now_ns() - begin, 22 * kMs);
  });
}

TEST(Limits, budgets_can_be_changed) {
  in_thread([] {
    ServiceOptions limits{.tokens_per_period = 10};
    ASSERT_TRUE(limits.classes.push_back({}));
    Bench bench(limits);
    EXPECT_EQ(bench.refusal(options(11)).substr(0, 14), "llm-never-fits");
    ASSERT_TRUE(bench->set_budget({.tokens_per_period = 20}));
    EXPECT_EQ(bench->budget().limit, 20U);
    EXPECT_EQ(bench.wait_for_end(bench.submit(options(11))).tokens, 11U);
    ASSERT_TRUE(bench->set_budget({.client_class = 0, .tokens_per_period = 2}));
    EXPECT_EQ(bench->class_budget(0).limit, 2U);
    EXPECT_EQ(bench.refusal(options(3)).substr(0, 14), "llm-never-fits");
    EXPECT_FALSE(bench->set_budget({.client_class = 1, .tokens_per_period = 2}));
    EXPECT_FALSE(bench->set_budget({.client_class = 0, .cycles_per_period = 2}));
    EXPECT_FALSE(bench->set_budget({.tokens_per_period = ~std::uint64_t{0}}));
  });
}

TEST(Limits, cycles_that_were_used_without_a_limit_are_not_held_against_it) {
  in_thread([] {
    Bench bench({.period_ns = kMs});
    const std::uint64_t cycles = bench.wait_for_end(bench.submit(options(20))).cycles;
    ASSERT_TRUE(bench->set_budget({.cycles_per_period = cycles}));
    const std::uint64_t began = threads::now_ns();
    EXPECT_EQ(bench.wait_for_end(bench.submit(options(1))).tokens, 1U);
    EXPECT_LT(threads::now_ns() - began, 3 * kMs);
    EXPECT_EQ(bench->cycles().limit, cycles);
    EXPECT_LT(bench->cycles().used, cycles);
  });
}

TEST(Requests, newest_of_an_owner_is_known) {
  in_thread([] {
    Bench bench;
    EXPECT_EQ(bench->latest(1), 0U);
    const RequestId first = bench.submit({.model = "tiny"});
    const RequestId second = bench.submit({.model = "tiny"});
    bench.submit({.model = "tiny"}, "one", {.owner = 2});
    EXPECT_EQ(bench->latest(1), second);
    EXPECT_TRUE(bench->release({.owner = 1}, second));
    EXPECT_EQ(bench->latest(1), first);
  });
}

// A worker whose budget is used up just where it holds the service's lock must not keep the control loop, which is no
// server's, until its next period.
TEST(Budget, however_small_keeps_nobody_waiting_for_the_lock) {
  constexpr std::uint64_t kPeriodNs = 100 * kMs;
  static sched::Server tiny(43, {.budget = 30'000, .period = kPeriodNs, .deadline = kPeriodNs});
  threads::admit(tiny);
  std::uint64_t longest = 0;
  std::uint64_t polls = 0;
  threads::start("loop", [&] {
    Bench bench({}, nullptr, testing::timed_kernels(), &tiny);
    bench.journal.takes_ns = 50'000;  // more than a budget, so that the worker is always throttled in one
    const RequestId id = bench.submit(options(3));
    for (bool finished = false; !finished; ++polls) {
      threads::sleep_for(kMs / 10);
      const std::uint64_t began = threads::now_ns();
      finished = bench.poll(id).finished;
      longest = std::max(longest, threads::now_ns() - began);
    }
    EXPECT_EQ(bench.poll(id).tokens, 3U);
  });
  threads::run_until_idle();
  threads::find_dispatcher(0)->admissions().remove(tiny, threads::find_dispatcher(0)->now());
  EXPECT_GT(polls, 1000U);  // it took periods
  EXPECT_LE(longest, 50'000U);
}

}  // namespace
}  // namespace guest::llm
