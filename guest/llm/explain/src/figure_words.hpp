// A figure's word in prompts and answers: whose it is, a point, what it is ("o1.busy", "audit.refused").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/llm/explain/figures.hpp"
#include "guest/llm/explain/quantity.hpp"
#include "labels.hpp"

namespace guest::llm::explain {

/// How a figure is shown.
enum class Shown : std::uint8_t {
  Quantity,
  Limit,  ///< a duration, or "-" for none
  Label,  ///< of another item, or "-" for none
};

struct FigureWord {
  Kind kind;
  std::string_view word;  ///< behind the point
  std::string_view name;  ///< in Figures
  std::string_view said;  ///< to people: "busy 71%"
  Unit unit;
  Shown shown;
  Kind other;  ///< with Label
  /// kNone with Label: there is none.
  std::uint64_t (*value)(const Figures& figures, std::size_t index);
};

inline constexpr std::uint64_t kNone = ~std::uint64_t{0};

/// A word that is one, and of something that there is.
struct Cited {
  Item item;
  std::string_view whose;  ///< part of the word: "o1"
  const FigureWord* word;
};

/// Whether `text` has the form of a figure's word.
bool looks_like_figure(std::string_view text);
/// Nothing: no figure is called so here.
std::optional<Cited> cited(const Figures& figures, std::string_view text);
/// A figure as prompts show it.
QuantityText show(const Figures& figures, const Cited& figure);

}  // namespace guest::llm::explain
