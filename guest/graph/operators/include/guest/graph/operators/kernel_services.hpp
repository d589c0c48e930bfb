// Services of operators (services.hpp) by what the kernel has.
#pragma once

#include "guest/graph/operators/services.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/log_history.hpp"

namespace guest::graph {

/// The lines that a log has kept.
class HistoryLines final : public LogLines {
 public:
  /// `history` outlives it.
  explicit constexpr HistoryLines(const kernel::LogHistory& history) : history_(history) {}
  [[nodiscard]] std::uint64_t end() const override { return history_.end(); }
  std::optional<Line> read(std::uint64_t from, std::span<char> into) override {
    const auto line = history_.read(from, into);
    return line ? std::optional(Line{.next = line->next, .bytes = line->bytes}) : std::nullopt;
  }

 private:
  const kernel::LogHistory& history_;
};

/// The kernel's counters, in the order of their registration.
class CounterText final : public MetricText {
 public:
  /// `counters` outlives it, and has all its counters before the first graph runs.
  explicit constexpr CounterText(const kernel::CounterRegistry& counters) : counters_(counters) {}
  void write(kernel::TextOutput& output) override {
    counters_.for_each(
        [&](const kernel::Counter& counter) { kernel::format_to(output, "{} {}\n", counter.name(), counter.value()); });
  }

 private:
  const kernel::CounterRegistry& counters_;
};

}  // namespace guest::graph
