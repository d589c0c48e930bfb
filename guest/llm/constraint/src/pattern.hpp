// A pattern as positions: each byte that it says something of is one, and knows which bytes may stand there and which
// positions may come next. (V. Glushkov, "The abstract theory of automata", 1961.)
//
//   a(b|c)*   positions a, b, c; first {a}; last {a, b, c}; after each of them {b, c}
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "guest/kernel/named_error.hpp"
#include "set256.hpp"

namespace guest::llm {

/// Some 16 KiB. From each position a last one can be reached.
struct Positions {
  static constexpr std::size_t kMax = 256;

  std::size_t count = 0;
  std::array<Set256, kMax> bytes;  ///< that may stand there; not empty
  std::array<Set256, kMax> next;   ///< positions
  Set256 first;
  Set256 last;
  bool may_be_empty = false;
};

/// Reads `pattern` into `out`, which is empty. The time is bounded by the pattern's bytes times Positions::kMax, the
/// stack by Automaton::kMaxGroups. Errors: llm-bad-pattern, llm-constraint-too-large.
kernel::Outcome read_pattern(std::string_view pattern, Positions& out);

}  // namespace guest::llm
