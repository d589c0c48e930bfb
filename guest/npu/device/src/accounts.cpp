#include "guest/npu/device/accounts.hpp"

#include <algorithm>
#include <limits>
#include <span>

namespace guest::npu {
namespace {

using sched::Cbs;
using sched::Depletion;
using sched::Time;

bool same(const sched::ServerParameters& a, const sched::ServerParameters& b) {
  return a.budget == b.budget && a.period == b.period && a.deadline == b.deadline && a.depletion == b.depletion;
}

/// Nobody uses it, and forgetting it gives nobody more than was promised.
bool at_rest(const Account& account, Time now) {
  if (account.in_flight != 0 || !account.waiters.empty()) {
    return false;
  }
  return !account.budget ||
         (account.budget->deadline() <= now && (!account.budget->throttled() || Accounts::repaid_at(account) <= now));
}

}  // namespace

Account* Accounts::open(const sched::Server* server, Time now) {
  if (server == nullptr) {
    return accounts_.data();
  }
  Account* unused = nullptr;
  for (Account& account : std::span(accounts_).subspan(1)) {
    if (account.server == server->id() && account.budget &&
        same(account.budget->parameters(), server->cbs().parameters())) {
      return &account;
    }
    if (unused == nullptr && at_rest(account, now)) {
      unused = &account;
    }
  }
  if (unused != nullptr) {
    unused->server = server->id();
    unused->budget.emplace(server->cbs().parameters());
  }
  return unused;
}

bool Accounts::settle(Account& account, Time now) {
  if (!account.budget) {
    return true;
  }
  Cbs& budget = *account.budget;
  if (budget.throttled()) {
    if (now >= repaid_at(account)) {
      budget.replenish(now);
    }
  } else if (account.in_flight == 0 || budget.deadline() <= now) {
    (void)budget.wake_up(now);  // throttled() says it
  }
  return !budget.throttled();
}

/// A job may cost many budgets. Unlike on a CPU, which is taken away when a budget is used up, the periods that it has
/// used are waited for before the next job, not after it.
Time Accounts::repaid_at(const Account& account) {
  const Cbs& budget = *account.budget;
  if (budget.parameters().depletion == Depletion::Soft) {
    return std::numeric_limits<Time>::min();
  }
  return budget.next_period() +
         std::max<Time>(0, -budget.budget()) / budget.parameters().budget * budget.parameters().period;
}

Time Accounts::charge(Account& account, Time cost) {
  if (!account.budget) {
    return sched::kNever;
  }
  Cbs& budget = *account.budget;
  (void)budget.charge(cost);  // throttled() says it
  const Time overrun = std::max<Time>(0, -budget.budget());
  const auto& parameters = budget.parameters();
  return budget.deadline() + (overrun + parameters.budget - 1) / parameters.budget * parameters.period;
}

void Accounts::refund(Account& account, Time unused) {
  if (account.budget && unused > 0) {
    Cbs& budget = *account.budget;
    // Never more than a whole budget: what is given back may be of an earlier period.
    const Time back = std::min(unused, budget.parameters().budget - budget.budget());
    (void)budget.charge(-std::max<Time>(0, back));
  }
}

}  // namespace guest::npu
