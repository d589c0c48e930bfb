// How many tokens may come out in each period, as a promise: what is admitted has its tokens, and no period has more
// than the limit (docs/llm.md, Budgets).
//
//   used in this period + reserved and not used yet <= limit      at every moment
//
// A reservation that is not used up goes over into the next period, and ends with the last of its periods. So it is
// known when others will fit: at the latest when those before them have ended.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

namespace guest::llm {

/// Times are of a clock that does not go back; periods begin at its multiples. No lock.
class TokenBudget {
 public:
  static constexpr std::uint32_t kMaxHold = 64;

  struct Options {
    std::uint64_t limit = 0;  ///< tokens in a period; 0: any number
    std::uint64_t period_ns = 1'000'000'000;
    std::uint32_t hold_periods =
        8;  ///< 1 to kMaxHold: how many a reservation lasts, the one that it is made in included
  };
  /// Why a reservation was refused.
  struct TooMany {
    /// From when on as many fit, if nobody else comes before; 0: never, they are more than the limit.
    std::uint64_t fits_at_ns;
  };

  TokenBudget() = default;
  explicit TokenBudget(const Options& options) : options_(options) {}

  /// Of all that is reserved from now on; what was promised stays so.
  void set_limit(std::uint64_t limit) { options_.limit = limit; }
  /// Whether `tokens` can be reserved: if not, from when on.
  std::optional<TooMany> check(std::uint64_t now_ns, std::uint64_t tokens);
  /// Reserves what check() has just agreed to. Returns the first period that the reservation is not for any more.
  std::uint64_t reserve(std::uint64_t now_ns, std::uint64_t tokens);
  /// Uses one token of a reservation that ends with `end`. False: it has ended, and nothing was used.
  [[nodiscard]] bool use(std::uint64_t now_ns, std::uint64_t end);
  /// Gives back what is left of one.
  void give_back(std::uint64_t now_ns, std::uint64_t end, std::uint64_t tokens);

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] std::uint64_t period_of(std::uint64_t ns) const { return ns / options_.period_ns; }
  /// Of the period of the last call.
  [[nodiscard]] std::uint64_t used() const { return used_; }
  [[nodiscard]] std::uint64_t reserved() const { return reserved_from(period_); }

 private:
  void roll(std::uint64_t now_ns);
  /// Of reservations that are still there in `period`.
  [[nodiscard]] std::uint64_t reserved_from(std::uint64_t period) const;
  [[nodiscard]] std::uint64_t& reserved_until(std::uint64_t end) { return reserved_[end % reserved_.size()]; }

  Options options_;
  std::uint64_t period_ = 0;
  std::uint64_t used_ = 0;
  std::array<std::uint64_t, kMaxHold + 1> reserved_{};  ///< by the period that they end with
};

}  // namespace guest::llm
