#include "subsets.hpp"

namespace guest::llm {

/// Bytes that stand at the same positions are of one class.
void SubsetBuilder::find_classes() {
  for (std::size_t i = 0; i < positions_.count; ++i) {
    if (i == 0 || positions_.bytes[i] != positions_.bytes[i - 1]) {
      out_.divide(positions_.bytes[i]);
    }
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    for (std::size_t i = 0; i < positions_.count; ++i) {
      if (positions_.bytes[i].has(byte)) {
        of_class_[out_.class_of_[byte]].add(i);
      }
    }
  }
}

/// What comes after these.
SubsetBuilder::Subset SubsetBuilder::follow(const Set256& matched) {
  Subset subset;
  matched.for_each([&](std::size_t i) {
    subset.next.add(positions_.next[i]);
    subset.accepts |= positions_.last.has(i);
    ++steps_;
  });
  return subset;
}

/// The state of this set, a new one if need be. Nothing: there are too many.
std::optional<Automaton::State> SubsetBuilder::state_of(const Subset& subset) {
  std::size_t bucket = subset.next.hash() % kBuckets;
  while (buckets_[bucket] != Automaton::kDead) {
    ++steps_;
    if (subsets_[buckets_[bucket]] == subset) {
      return buckets_[bucket];
    }
    bucket = (bucket + 1) % kBuckets;
  }
  const auto state = out_.add_state(subset.accepts);
  if (state) {
    subsets_[*state] = subset;
    buckets_[bucket] = *state;
  }
  return state;
}

kernel::Outcome SubsetBuilder::build() {
  find_classes();
  if (!out_.allocate()) {
    return kernel::fail("llm-no-memory", "no memory for a pattern's states");
  }
  buckets_.fill(Automaton::kDead);
  static_cast<void>(state_of({.next = positions_.first, .accepts = positions_.may_be_empty}));
  for (std::size_t at = 0; at < out_.state_count_; ++at) {
    const auto state = static_cast<Automaton::State>(at);
    for (std::size_t i = 0; i < out_.class_count_; ++i) {
      Set256 matched = of_class_[i];
      matched.keep(subsets_[state].next);
      ++steps_;
      if (matched.empty()) {
        continue;
      }
      const auto to = state_of(follow(matched));
      if (!to) {
        return out_.too_large();
      }
      out_.way(state, i) = *to;
      if (steps_ > kMaxSteps) {
        return kernel::fail("llm-constraint-too-large", "a pattern whose states take more than {} steps to find",
                            kMaxSteps);
      }
    }
  }
  return {};
}

}  // namespace guest::llm
