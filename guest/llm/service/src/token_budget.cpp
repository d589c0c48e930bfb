#include "guest/llm/service/token_budget.hpp"

#include <algorithm>

#include "guest/kernel/panic.hpp"

namespace guest::llm {

void TokenBudget::roll(std::uint64_t now_ns) {
  const std::uint64_t period = period_of(now_ns);
  if (period <= period_) {
    return;
  }
  // Reservations that end with one of the periods since then are not there any more; no end is further than kMaxHold.
  const std::uint64_t last = std::min(period, period_ + kMaxHold);
  for (std::uint64_t end = period_ + 1; end <= last; ++end) {
    reserved_until(end) = 0;
  }
  period_ = period;
  used_ = 0;
}

std::uint64_t TokenBudget::reserved_from(std::uint64_t period) const {
  std::uint64_t sum = 0;
  for (std::uint64_t end = period + 1; end <= period_ + kMaxHold; ++end) {
    sum += reserved_[end % reserved_.size()];
  }
  return sum;
}

std::optional<TokenBudget::TooMany> TokenBudget::check(std::uint64_t now_ns, std::uint64_t tokens) {
  roll(now_ns);
  if (options_.limit == 0) {
    return {};
  }
  if (tokens > options_.limit) {
    return TooMany{.fits_at_ns = 0};
  }
  const std::uint64_t room = options_.limit - tokens;
  if (used_ + reserved_from(period_) <= room) {
    return {};
  }
  // Nothing is used of a period that has not begun. With the last reservation's end all of one is free.
  std::uint64_t period = period_ + 1;
  while (reserved_from(period) > room) {
    ++period;
  }
  return TooMany{.fits_at_ns = period * options_.period_ns};
}

std::uint64_t TokenBudget::reserve(std::uint64_t now_ns, std::uint64_t tokens) {
  roll(now_ns);
  const std::uint64_t end = period_ + options_.hold_periods;
  reserved_until(end) += tokens;
  return end;
}

bool TokenBudget::use(std::uint64_t now_ns, std::uint64_t end) {
  roll(now_ns);
  if (end <= period_) {
    used_ += options_.limit == 0 ? 1 : 0;
    return options_.limit == 0;
  }
  kernel::require(reserved_until(end) > 0, "a token is used that nobody has reserved");
  --reserved_until(end);
  ++used_;
  return true;
}

void TokenBudget::give_back(std::uint64_t now_ns, std::uint64_t end, std::uint64_t tokens) {
  roll(now_ns);
  if (end <= period_) {
    return;
  }
  kernel::require(reserved_until(end) >= tokens, "more tokens are given back than were reserved");
  reserved_until(end) -= tokens;
}

}  // namespace guest::llm
