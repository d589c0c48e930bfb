// Which token may come next in one answer, so that it becomes a text that an automaton reads (docs/models.md,
// Constraints).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "guest/llm/constraint/automaton.hpp"
#include "guest/llm/constraint/token_texts.hpp"

namespace guest::llm {

/// One at a time. Nothing is allocated but in make().
class Constraint {
 public:
  /// `texts` outlives it; `vocabulary`: tokens of the model, which may have more than the texts. Error: llm-no-memory.
  static std::expected<std::unique_ptr<Constraint>, kernel::NamedError> make(Automaton automaton,
                                                                             const TokenTexts& texts,
                                                                             std::uint32_t vocabulary);

  /// A bit for each token of the model, in words of 64: those that may come next; among them, where the answer may end,
  /// those that end it. At least one is set unless is_complete(). Until take() or the next call. Some states are
  /// remembered; for another one takes a step of the automaton for each byte that begins a token and may come.
  std::span<const std::uint64_t> allowed();
  /// A token has come that allowed() has, and says `text`. Returns how many of its first bytes are not of the answer:
  /// a space before it.
  std::size_t take(std::string_view text);
  /// All of an answer has come, and nothing may follow.
  [[nodiscard]] bool is_complete() const { return automaton_.is_final(state_); }

 private:
  /// Tokens that may come after a state.
  struct Known {
    Automaton::State state = Automaton::kDead;
    std::unique_ptr<std::uint64_t[]> tokens;
  };
  /// A class that repeats is one state, and what follows it some others.
  static constexpr std::size_t kKnown = 4;

  Constraint(Automaton automaton, const TokenTexts& texts, std::uint32_t vocabulary)
      : automaton_(std::move(automaton)), texts_(texts), words_((vocabulary + 63) / 64), state_(automaton_.start()) {}
  void find(Known& into) const;

  const Automaton automaton_;
  const TokenTexts& texts_;
  const std::uint32_t words_;
  Automaton::State state_;
  std::array<Known, kKnown> known_;
  std::size_t oldest_ = 0;
};

}  // namespace guest::llm
