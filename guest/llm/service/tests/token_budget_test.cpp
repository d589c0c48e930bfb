// Tokens per period: what is promised is there, and no period has more than the limit.
#include "guest/llm/service/token_budget.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "guest/llm/service/options.hpp"

namespace guest::llm {
namespace {

constexpr std::uint64_t kPeriod = 1000;

TokenBudget budget(std::uint64_t limit, std::uint32_t hold = 4) {
  return TokenBudget({.limit = limit, .period_ns = kPeriod, .hold_periods = hold});
}

TEST(TokenBudget, without_a_limit_takes_all) {
  TokenBudget tokens = budget(0);
  EXPECT_FALSE(tokens.check(0, UINT64_MAX));
  EXPECT_TRUE(tokens.use(5 * kPeriod, tokens.reserve(0, 1)));
}

TEST(TokenBudget, limit_that_comes_later_knows_what_was_reserved_before) {
  TokenBudget tokens = budget(0);
  const std::uint64_t end = tokens.reserve(0, 8);
  EXPECT_TRUE(tokens.use(0, end));
  tokens.set_limit(10);
  EXPECT_FALSE(tokens.check(0, 2));
  EXPECT_EQ(tokens.check(0, 3)->fits_at_ns, kPeriod);  // 7 are reserved then
  EXPECT_TRUE(tokens.use(0, end));
  tokens.set_limit(1);  // less than is used: what was promised stays so
  EXPECT_TRUE(tokens.use(0, end));
  EXPECT_EQ(tokens.check(0, 1)->fits_at_ns, 4 * kPeriod);
}

TEST(TokenBudget, refuses_for_ever_what_no_period_has) {
  TokenBudget tokens = budget(10);
  ASSERT_TRUE(tokens.check(0, 11));
  EXPECT_EQ(tokens.check(0, 11)->fits_at_ns, 0U);
  EXPECT_FALSE(tokens.check(0, 10));
}

TEST(TokenBudget, has_room_again_in_the_next_period) {
  TokenBudget tokens = budget(10);
  const std::uint64_t end = tokens.reserve(1500, 10);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(tokens.use(1600, end));
  }
  ASSERT_TRUE(tokens.check(1999, 1));
  EXPECT_EQ(tokens.check(1999, 1)->fits_at_ns, 2000U);
  EXPECT_FALSE(tokens.check(2000, 10));
}

TEST(TokenBudget, keeps_a_reservation_for_its_periods) {
  TokenBudget tokens = budget(10, 3);
  const std::uint64_t end = tokens.reserve(500, 8);
  EXPECT_EQ(tokens.check(500, 3)->fits_at_ns, 3000U);
  EXPECT_TRUE(tokens.use(2999, end));
  EXPECT_EQ(tokens.reserved(), 7U);
  EXPECT_FALSE(tokens.use(3000, end));
  EXPECT_FALSE(tokens.check(3000, 10));
}

TEST(TokenBudget, has_room_when_a_reservation_is_given_back) {
  TokenBudget tokens = budget(10);
  const std::uint64_t end = tokens.reserve(0, 10);
  EXPECT_TRUE(tokens.use(0, end));
  tokens.give_back(0, end, 9);
  EXPECT_FALSE(tokens.check(0, 9));
  EXPECT_TRUE(tokens.check(0, 10));
  // After its end there is nothing to give back.
  const std::uint64_t other = tokens.reserve(0, 5);
  tokens.give_back(100 * kPeriod, other, 5);
  EXPECT_EQ(tokens.reserved(), 0U);
}

/// A reservation of the run below.
struct Reservation {
  std::uint64_t end;
  std::uint64_t left;
};

// Some 1,300 periods with jumps of up to 70 of them, longer than any reservation lasts.
TEST(TokenBudget, is_never_exceeded_and_keeps_its_word) {
  std::mt19937_64 random(7);
  TokenBudget tokens = budget(50, 5);
  std::vector<Reservation> open;
  std::map<std::uint64_t, std::uint64_t> used;  // by period
  std::uint64_t now = 0;
  std::uint64_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    now += random() % 1000 == 0 ? random() % (70 * kPeriod) : random() % 60;
    const std::uint64_t wanted = 1 + random() % 50;
    if (const auto refusal = tokens.check(now, wanted)) {
      ++refused;
      ASSERT_GT(refusal->fits_at_ns, now);
      TokenBudget then = tokens;
      ASSERT_TRUE(then.check(refusal->fits_at_ns - 1, wanted)) << "it would have fitted earlier";
      ASSERT_FALSE(then.check(refusal->fits_at_ns, wanted));
    } else {
      open.push_back({tokens.reserve(now, wanted), wanted});
    }
    const std::size_t which = open.empty() ? 0 : random() % open.size();
    if (open.empty()) {
      continue;
    }
    Reservation& one = open[which];
    const bool gives_up = random() % 16 == 0;
    if (gives_up) {
      tokens.give_back(now, one.end, one.left);
    } else if (tokens.use(now, one.end)) {
      ++used[now / kPeriod];
      --one.left;
    } else {
      ASSERT_GE(now / kPeriod, one.end);
      one.left = 0;
    }
    if (gives_up || one.left == 0) {
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }
  EXPECT_GT(refused, 1000U);
  for (const auto& [period, count] : used) {
    EXPECT_LE(count, 50U) << period;
  }
}

TEST(ServiceOptions, are_checked) {
  const auto refusal = [](const ServiceOptions& options) {
    const kernel::Outcome outcome = check(options);
    return outcome ? "taken" : std::string(outcome.error().detail.view());
  };
  EXPECT_EQ(refusal({}), "taken");
  EXPECT_EQ(refusal({.requests = 257}), "requests 257, expected 1 to 256");
  EXPECT_EQ(refusal({.requests = 8, .requests_per_owner = 4, .queue = 9}), "queue 9, expected 1 to 8");
  EXPECT_EQ(refusal({.stream_chunks = 31}), "stream-chunks 31, expected 32 to 4096");
  EXPECT_EQ(refusal({.hold_periods = 65}), "hold-periods 65, expected 1 to 64");
}

}  // namespace
}  // namespace guest::llm
