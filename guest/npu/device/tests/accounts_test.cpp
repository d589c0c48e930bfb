#include "guest/npu/device/accounts.hpp"

#include <gtest/gtest.h>

namespace guest::npu {
namespace {

using sched::Depletion;
using sched::Server;
using sched::Time;

constexpr sched::ServerParameters kTenOfHundred{.budget = 10, .period = 100, .deadline = 100};

TEST(Accounts, best_effort_threads_share_one_without_a_budget) {
  Accounts accounts;
  Account* const account = accounts.open(nullptr, 0);
  ASSERT_NE(account, nullptr);
  EXPECT_EQ(account, accounts.open(nullptr, 5));
  EXPECT_EQ(Accounts::charge(*account, 1'000'000), sched::kNever);
  EXPECT_TRUE(Accounts::settle(*account, 6));
}

TEST(Accounts, a_server_has_its_budget_each_period) {
  Accounts accounts;
  const Server server(5, kTenOfHundred);
  Account& account = *accounts.open(&server, 1000);
  ASSERT_TRUE(Accounts::settle(account, 1000));
  EXPECT_EQ(Accounts::charge(account, 4), 1100) << "its absolute deadline";
  EXPECT_TRUE(Accounts::settle(account, 1001));
  EXPECT_EQ(Accounts::charge(account, 6), 1100);
  account.in_flight = 2;
  EXPECT_FALSE(Accounts::settle(account, 1002));
  EXPECT_EQ(Accounts::repaid_at(account), 1100);
  EXPECT_FALSE(Accounts::settle(account, 1099));
  EXPECT_TRUE(Accounts::settle(account, 1100));
  EXPECT_EQ(Accounts::charge(account, 1), 1200);
}

TEST(Accounts, a_job_of_many_budgets_is_paid_before_the_next_one) {
  Accounts accounts;
  const Server server(5, kTenOfHundred);
  Account& account = *accounts.open(&server, 1000);
  ASSERT_TRUE(Accounts::settle(account, 1000));
  EXPECT_EQ(Accounts::charge(account, 35), 1400) << "the fourth period pays the last of it";
  EXPECT_EQ(Accounts::repaid_at(account), 1300);
  EXPECT_FALSE(Accounts::settle(account, 1299));
  ASSERT_TRUE(Accounts::settle(account, 1300));
  EXPECT_EQ(account.budget->budget(), 5);
  EXPECT_EQ(Accounts::charge(account, 5), 1400);
}

TEST(Accounts, what_has_not_run_is_given_back_but_not_more_than_a_budget) {
  Accounts accounts;
  const Server server(5, kTenOfHundred);
  Account& account = *accounts.open(&server, 1000);
  ASSERT_TRUE(Accounts::settle(account, 1000));
  (void)Accounts::charge(account, 30);
  account.in_flight = 1;
  Accounts::refund(account, 25);
  EXPECT_EQ(account.budget->budget(), 5);
  EXPECT_TRUE(Accounts::settle(account, 1001));
  Accounts::refund(account, 1000);
  EXPECT_EQ(account.budget->budget(), 10);
}

TEST(Accounts, a_soft_server_goes_on_with_a_later_deadline) {
  Accounts accounts;
  sched::ServerParameters parameters = kTenOfHundred;
  parameters.depletion = Depletion::Soft;
  const Server server(5, parameters);
  Account& account = *accounts.open(&server, 1000);
  ASSERT_TRUE(Accounts::settle(account, 1000));
  EXPECT_EQ(Accounts::charge(account, 10), 1100);
  account.in_flight = 1;
  ASSERT_TRUE(Accounts::settle(account, 1001));
  EXPECT_EQ(Accounts::charge(account, 1), 1200);
}

TEST(Accounts, one_that_owes_nothing_makes_room_for_another_server) {
  Accounts accounts;
  for (std::uint32_t id = 1; id <= Accounts::kMaxServers; ++id) {
    const Server server(id, kTenOfHundred);
    Account* const account = accounts.open(&server, 1000);
    ASSERT_NE(account, nullptr);
    ASSERT_TRUE(Accounts::settle(*account, 1000));
    (void)Accounts::charge(*account, id == 1 ? 55 : 10);
  }
  const Server late(100, kTenOfHundred);
  EXPECT_EQ(accounts.open(&late, 1050), nullptr);
  Account* const account = accounts.open(&late, 1100);
  ASSERT_NE(account, nullptr);
  EXPECT_EQ(account->server, 100U);
  const Server debtor(1, kTenOfHundred);
  EXPECT_FALSE(Accounts::settle(*accounts.open(&debtor, 1400), 1400)) << "what it owes is not forgotten";
}

TEST(Accounts, one_with_jobs_in_flight_is_kept) {
  Accounts accounts;
  const Server server(1, kTenOfHundred);
  Account* const account = accounts.open(&server, 0);
  account->in_flight = 1;
  const Server other(2, kTenOfHundred);
  EXPECT_NE(accounts.open(&other, 1'000'000), account);
  EXPECT_EQ(accounts.open(&server, 1'000'000), account);
}

/// Of some time, no server has more than its share of it and two jobs.
TEST(Accounts, a_flood_is_held_to_its_share) {
  Accounts accounts;
  const Server server(5, kTenOfHundred);
  Account& account = *accounts.open(&server, 0);
  account.in_flight = 1;
  Time charged = 0;
  constexpr Time kJob = 23;
  for (Time now = 0; now < 10'000; ++now) {
    if (Accounts::settle(account, now)) {
      (void)Accounts::charge(account, kJob);
      charged += kJob;
    }
    ASSERT_LE(charged, now / 10 + 10 + 2 * kJob) << now;
  }
  EXPECT_GE(charged, 950);
}

}  // namespace
}  // namespace guest::npu
