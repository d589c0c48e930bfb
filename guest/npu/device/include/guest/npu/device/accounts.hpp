// Budgets of NPU time. The NPU is one more processor, on which each server has the promise that it has on its CPU: Q
// every P (docs/scheduler.md). Jobs are charged when they are submitted, by the cost model; what has not run in the end
// is given back.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guest/kernel/sched/server.hpp"
#include "guest/kernel/threads/wait_list.hpp"

namespace guest::npu {

/// Of one server, or of all best-effort threads together, which have no budget.
struct Account {
  std::uint32_t server = 0;          ///< id; 0: best effort
  std::optional<sched::Cbs> budget;  ///< of a server
  std::uint32_t in_flight = 0;       ///< jobs
  threads::WaitList waiters;         ///< threads that want to submit
};

/// Pure rules but for the waiters, which are the user's. One caller at a time.
class Accounts {
 public:
  static constexpr std::size_t kMaxServers = 32;

  Accounts() = default;
  Accounts(const Accounts&) = delete;
  Accounts& operator=(const Accounts&) = delete;

  /// The account of `server`; null for one: that of the best-effort threads. Null: there are too many servers that owe
  /// something, or whose promise runs.
  Account* open(const sched::Server* server, sched::Time now);
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (Account& account : accounts_) {
      visit(account);
    }
  }

  /// Its budget as it is now. True: a job may be submitted.
  static bool settle(Account& account, sched::Time now);
  /// Of one for which settle() said no: when it says yes.
  static sched::Time repaid_at(const Account& account);
  /// A job of `cost` nanoseconds comes. Returns the end of the period that pays the last of it; kNever: of best-effort
  /// threads.
  static sched::Time charge(Account& account, sched::Time cost);
  static void refund(Account& account, sched::Time unused);

 private:
  std::array<Account, 1 + kMaxServers> accounts_;  ///< the first is that of the best-effort threads
};

}  // namespace guest::npu
