// What sis-explain said: with names for labels, and each statement held against the figures (docs/explain.md, Answers).
//
// The answer is a model's: any text. Nothing in it is believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/llm/explain/figures.hpp"
#include "guest/llm/explain/quantity.hpp"

namespace guest::llm::explain {

/// The name of what a label means: 'smooth', channel 7; of nothing the label itself.
void write_name(kernel::TextOutput& out, const Figures& figures, std::string_view label);

/// With names: "o1 is slower, o1.limit 12us" becomes "'smooth' is slower, limit 12us", c2 "channel 7". Other bytes are
/// as they are; what means nothing stays.
void write_answer(kernel::TextOutput& out, const Figures& figures, std::string_view answer);

/// A name, a figure or a claim of the answer.
struct Statement {
  std::string_view text;  ///< part of the answer: "o1.busy 71%", "is the bottleneck", "o9"
  bool supported = false;
  /// Whose it is: a label of the answer ("o1"), "audit", "npu", "llm"; empty: of no one thing.
  std::string_view subject = {};
  std::string_view figure = {};             ///< what it rests on, as in Figures: "busy_permille"; empty: there is none
  std::optional<std::uint64_t> value = {};  ///< of that figure, exact, if it is one number
  QuantityText shown = {};                  ///< as the prompt has it; may be a label; empty: no one figure
};

inline constexpr std::size_t kMaxStatements = 24;

struct Check {
  kernel::BoundedArray<Statement, kMaxStatements> statements;
  bool complete = true;  ///< false: there were more
  /// That there is something, and that all of it is supported.
  [[nodiscard]] bool holds() const;
};

/// The statements of `answer`, to which they refer, in its order:
///   a label      supported if there is such an item
///   a figure     its word and what is behind it: supported if the prompt has it so. A number alone never is
///   a claim      "is the bottleneck", "no server is over budget", ...: supported if no figure says otherwise
Check check_answer(const Figures& figures, std::string_view answer);

}  // namespace guest::llm::explain
