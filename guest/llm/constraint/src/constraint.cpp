#include "guest/llm/constraint/constraint.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"

namespace guest::llm {

std::expected<std::unique_ptr<Constraint>, kernel::NamedError> Constraint::make(Automaton automaton,
                                                                                const TokenTexts& texts,
                                                                                std::uint32_t vocabulary) {
  std::unique_ptr<Constraint> made(new (std::nothrow) Constraint(std::move(automaton), texts, vocabulary));
  bool whole = made != nullptr;
  for (std::size_t i = 0; whole && i < kKnown; ++i) {
    made->known_[i].tokens.reset(new (std::nothrow) std::uint64_t[made->words_]);
    whole = made->known_[i].tokens != nullptr;
  }
  if (!whole) {
    return kernel::fail("llm-no-memory", "no memory to choose among {} tokens", vocabulary);
  }
  return made;
}

std::span<const std::uint64_t> Constraint::allowed() {
  auto found = std::ranges::find(known_, state_, &Known::state);
  if (found == known_.end()) {
    found = known_.begin() + static_cast<std::ptrdiff_t>(oldest_);
    oldest_ = (oldest_ + 1) % kKnown;
    find(*found);
  }
  return {found->tokens.get(), words_};
}

/// Follows each token's text from the state on, but for what it shares with the one before.
void Constraint::find(Known& into) const {
  into.state = state_;
  const std::span tokens(into.tokens.get(), words_);
  std::ranges::fill(tokens, 0);
  const auto allow = [tokens](Token token) { tokens[token / 64] |= std::uint64_t{1} << (token % 64); };
  std::array<Automaton::State, Vocabulary::kMaxTokenBytes + 1> states;  // after so many bytes
  states[0] = state_;
  std::size_t alive = 0;  // bytes of the last text that an answer may have here
  for (const TokenTexts::Entry& entry : texts_.entries()) {
    if (alive < entry.shared) {
      continue;  // it ends where the one before did
    }
    alive = entry.shared;
    const std::string_view text = texts_.text(entry);
    while (alive < text.size()) {
      const Automaton::State next = automaton_.next(states[alive], static_cast<std::uint8_t>(text[alive]));
      if (next == Automaton::kDead) {
        break;
      }
      states[++alive] = next;
    }
    if (alive == text.size()) {
      allow(entry.token);
    }
  }
  if (automaton_.accepts(state_)) {
    std::ranges::for_each(texts_.ends(), allow);
  }
}

std::size_t Constraint::take(std::string_view text) {
  const bool is_first = state_ == automaton_.start();
  for (const char c : text) {
    state_ = automaton_.next(state_, static_cast<std::uint8_t>(c));
    kernel::require(state_ != Automaton::kDead, "a token has come that may not come");
  }
  // Nothing leads back to a first state that skips a space.
  return is_first && automaton_.skips_space() && text.starts_with(' ') ? 1 : 0;
}

}  // namespace guest::llm
