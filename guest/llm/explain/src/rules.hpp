// Which figure a number in an answer is: the words beside it say so.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "guest/llm/explain/figures.hpp"
#include "guest/llm/explain/quantity.hpp"
#include "labels.hpp"

namespace guest::llm::explain {

struct Rule {
  Kind kind;                ///< of what is spoken of
  std::string_view before;  ///< the word before the number, with what is attached to it; empty: any
  std::string_view after;   ///< the word behind it, without; empty: any
  std::string_view figure;
  Unit unit;
  std::uint64_t (*value)(const Figures& figures, std::size_t index);
};

/// The first one that fits counts.
std::span<const Rule> rules();

}  // namespace guest::llm::explain
