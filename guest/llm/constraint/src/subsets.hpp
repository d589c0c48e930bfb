// From the positions of a pattern to an automaton: each state is a set of positions that may come next. Sets are made
// as they are met.
#pragma once

#include "guest/llm/constraint/automaton.hpp"
#include "pattern.hpp"

namespace guest::llm {

/// Some 70 KiB, so not for the stack.
class SubsetBuilder {
 public:
  /// Unions of sets, and looks into the table of states: some milliseconds.
  static constexpr std::uint32_t kMaxSteps = 500'000;

  explicit SubsetBuilder(Automaton& out) : out_(out) {}
  /// To be filled before build().
  [[nodiscard]] Positions& positions() { return positions_; }
  /// Errors: llm-constraint-too-large, llm-no-memory. Once.
  kernel::Outcome build();

 private:
  struct Subset {
    Set256 next;
    bool accepts = false;
    bool operator==(const Subset&) const = default;
  };
  static constexpr std::size_t kBuckets = 2 * Automaton::kMaxStates;

  void find_classes();
  [[nodiscard]] Subset follow(const Set256& matched);
  std::optional<Automaton::State> state_of(const Subset& subset);

  Automaton& out_;
  Positions positions_;
  std::array<Set256, 256> of_class_;  ///< the positions where its bytes may stand
  std::array<Subset, Automaton::kMaxStates> subsets_;
  std::array<Automaton::State, kBuckets> buckets_{};  ///< states by their subsets
  std::uint32_t steps_ = 0;
};

}  // namespace guest::llm
