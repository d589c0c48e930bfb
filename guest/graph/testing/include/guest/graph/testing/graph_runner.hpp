// Runs a graph without threads: one operator after the other, as long as one can fire. For tests.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>

#include "guest/graph/graph.hpp"

namespace guest::graph::testing {

class GraphRunner {
 public:
  /// `graph` outlives the runner.
  explicit GraphRunner(Graph& graph) : graph_(graph) {}

  /// A run begins, at now_ns().
  void begin() {
    finished_ = 0;
    for (Operator* const each : graph_.operators()) {
      each->begin(now_ns_);
    }
  }

  /// Fires operators in the order in which they were added, again and again, until none can, and then turns the clock
  /// to when a source can; until none will (or, after kMaxTurns turns, seems to), or `most` executions are over.
  /// Returns how many there were. An error of an operator ends it.
  std::expected<std::uint64_t, kernel::NamedError> run(std::uint64_t most = 1'000'000) {
    std::uint64_t fired = 0;
    std::uint32_t turns = 0;  // of the clock, since something fired
    for (;;) {
      const std::uint64_t before = fired;
      for (std::size_t i = 0; i < graph_.operators().size() && fired < most; ++i) {
        if (!can_fire(i)) {
          continue;
        }
        if (const auto outcome = fire(i); !outcome) {
          return std::unexpected(outcome.error());
        }
        ++fired;
      }
      turns = fired == before ? turns + 1 : 0;
      if (fired == most || (fired == before && (turns == kMaxTurns || !advance()))) {
        return fired;
      }
    }
  }

  [[nodiscard]] std::uint64_t now_ns() const { return now_ns_; }
  void set_now_ns(std::uint64_t now_ns) { now_ns_ = now_ns; }
  /// All sources have said that they were there for the last time.
  [[nodiscard]] bool sources_finished() const {
    for (std::size_t i = 0; i < graph_.operators().size(); ++i) {
      if (graph_.operators()[i]->is_source() && !is_finished(i)) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr std::uint32_t kMaxTurns = 100;

  [[nodiscard]] bool is_finished(std::size_t index) const { return ((finished_ >> index) & 1) != 0; }

  [[nodiscard]] bool can_fire(std::size_t index) {
    Operator& each = *graph_.operators()[index];
    if (is_finished(index) || each.obstacle().channel != nullptr) {
      return false;
    }
    return !each.is_source() || each.code().ready_at(now_ns_) <= now_ns_;
  }

  kernel::Outcome fire(std::size_t index) {
    Operator& each = *graph_.operators()[index];
    Operator::Fired fired;
    if (const auto outcome = each.fire(now_ns_, fired); !outcome) {
      return outcome;
    }
    each.record(0, fired.oldest_ns == 0 ? 0 : now_ns_ - fired.oldest_ns);
    if (fired.finished) {
      finished_ |= std::uint64_t{1} << index;
    }
    return {};
  }

  /// To the earliest time at which a source can fire. False: there is none.
  bool advance() {
    std::uint64_t earliest = OperatorCode::kAsleep;
    for (std::size_t i = 0; i < graph_.operators().size(); ++i) {
      Operator& each = *graph_.operators()[i];
      if (each.is_source() && !is_finished(i) && each.obstacle().channel == nullptr) {
        earliest = std::min(earliest, each.code().ready_at(now_ns_));
      }
    }
    if (earliest == OperatorCode::kAsleep || earliest <= now_ns_) {
      return false;
    }
    now_ns_ = earliest;
    return true;
  }

  Graph& graph_;
  std::uint64_t now_ns_ = 1'000'000;
  std::uint64_t finished_ = 0;  ///< bit n: operator n, in their order
};

}  // namespace guest::graph::testing
