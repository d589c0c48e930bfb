// Claims: words of an answer that say something of figures without a number.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/llm/explain/figures.hpp"
#include "labels.hpp"

namespace guest::llm::explain {

struct Claim {
  /// Of what a claim speaks: what was named last, or the label that is the next word.
  enum class Of : std::uint8_t { Last, Next };

  std::string_view words;
  std::string_view figure;  ///< what it rests on
  /// `subject`: what is spoken of; of a kind that `holds` need not be made for: then it does not hold.
  bool (*holds)(const Figures& figures, std::optional<Item> subject, std::string_view answer);
  Of of = Of::Last;
};

/// Of claims that begin at the same place the longest one comes first.
std::span<const Claim> claims();

}  // namespace guest::llm::explain
