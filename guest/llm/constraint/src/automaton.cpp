#include "guest/llm/constraint/automaton.hpp"

#include <algorithm>
#include <new>

#include "subsets.hpp"

namespace guest::llm {

using kernel::Outcome;

/// The space is a class of its own, for add_space().
Automaton::Automaton() {
  Set256 space;
  space.add(' ');
  divide(space);
}

std::expected<Automaton, kernel::NamedError> Automaton::of_pattern(std::string_view pattern) {
  Automaton automaton;
  const std::unique_ptr<SubsetBuilder> builder(new (std::nothrow) SubsetBuilder(automaton));
  if (builder == nullptr) {
    return kernel::fail("llm-no-memory", "no memory to read a pattern");
  }
  Outcome made = read_pattern(pattern, builder->positions());
  if (made) {
    made = builder->build();
  }
  if (made) {
    made = automaton.finish();
  }
  return made ? std::expected<Automaton, kernel::NamedError>(std::move(automaton)) : std::unexpected(made.error());
}

std::expected<Automaton, kernel::NamedError> Automaton::of_choices(std::span<const std::string_view> choices) {
  if (choices.empty() || choices.size() > kMaxChoices) {
    return kernel::fail("llm-bad-choice", "{} choices, expected 1 to {}", choices.size(), kMaxChoices);
  }
  Automaton automaton;
  Set256 used;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].empty() || choices[i].size() > kMaxChoiceBytes) {
      return kernel::fail("llm-bad-choice", "choice {} has {} bytes, expected 1 to {}", i, choices[i].size(),
                          kMaxChoiceBytes);
    }
    std::ranges::for_each(choices[i], [&used](char c) { used.add(static_cast<unsigned char>(c)); });
  }
  used.for_each([&automaton](std::size_t byte) {
    Set256 one;
    one.add(byte);
    automaton.divide(one);
  });
  Outcome made = automaton.allocate() ? automaton.add_choices(choices)
                                      : kernel::fail("llm-no-memory", "no memory for the states of choices");
  if (made) {
    made = automaton.finish();
  }
  return made ? std::expected<Automaton, kernel::NamedError>(std::move(automaton)) : std::unexpected(made.error());
}

void Automaton::divide(const Set256& set) {
  constexpr std::int16_t kNone = -1;
  std::array<std::array<std::int16_t, 2>, 256> divided;
  divided.fill({kNone, kNone});
  std::int16_t count = 0;
  for (std::size_t byte = 0; byte < class_of_.size(); ++byte) {
    std::int16_t& now = divided[class_of_[byte]][set.has(byte) ? 1 : 0];
    if (now == kNone) {
      now = count++;
    }
    class_of_[byte] = static_cast<std::uint8_t>(now);  // at most 256 classes of 256 bytes
  }
  class_count_ = static_cast<std::size_t>(count);
}

bool Automaton::allocate() {
  // One is for add_space().
  capacity_ = std::min(kMaxStates, kMaxTransitions / class_count_) - 1;
  next_.reset(new (std::nothrow) State[(capacity_ + 1) * class_count_]);
  return next_ != nullptr;
}

std::optional<Automaton::State> Automaton::add_state(bool accepts) {
  if (state_count_ == capacity_) {
    return std::nullopt;
  }
  const auto state = static_cast<State>(state_count_++);
  std::fill_n(&way(state, 0), class_count_, kDead);
  accepts_[state / 64] |= std::uint64_t{accepts} << (state % 64);
  return state;
}

std::unexpected<kernel::NamedError> Automaton::too_large() const {
  return kernel::fail("llm-constraint-too-large", "more than {} states of {} classes of bytes", capacity_,
                      class_count_);
}

/// What they have in common at their beginnings is there once.
Outcome Automaton::add_choices(std::span<const std::string_view> choices) {
  static_cast<void>(add_state(false));
  for (const std::string_view choice : choices) {
    State state = 0;
    for (const char c : choice) {
      const std::size_t byte_class = class_of_[static_cast<unsigned char>(c)];
      if (way(state, byte_class) == kDead) {
        const auto added = add_state(false);
        if (!added) {
          return too_large();
        }
        way(state, byte_class) = *added;
      }
      state = way(state, byte_class);
    }
    accepts_[state / 64] |= std::uint64_t{1} << (state % 64);
  }
  return {};
}

/// Another first state, which a space leads out of.
void Automaton::add_space() {
  const std::size_t space = class_of_[' '];
  if (way(0, space) != kDead) {
    return;
  }
  ++capacity_;
  start_ = *add_state(accepts(0));
  std::copy_n(&way(0, 0), class_count_, &way(start_, 0));
  way(start_, space) = 0;
  skips_space_ = true;
}

/// It is complete: no more memory than it needs.
Outcome Automaton::finish() {
  add_space();
  const std::size_t transitions = state_count_ * class_count_;
  std::unique_ptr<State[]> exact(new (std::nothrow) State[transitions]);
  if (exact == nullptr) {
    return kernel::fail("llm-no-memory", "no memory for {} states", state_count_);
  }
  std::copy_n(next_.get(), transitions, exact.get());
  next_ = std::move(exact);
  capacity_ = state_count_;
  return {};
}

bool Automaton::is_final(State state) const {
  const State* const ways = &next_[std::size_t{state} * class_count_];
  return std::all_of(ways, ways + class_count_, [](State to) { return to == kDead; });
}

}  // namespace guest::llm
