// Which texts an answer may be, as a machine that reads them byte by byte (docs/models.md, Constraints).
//
//   start --byte--> state --byte--> ... --> a state that accepts: the answer may end here
//             |
//             `--> kDead: no answer begins so
//
// It comes from whoever asks, who may be hostile: what it takes to make one, its memory and each step are bounded, and
// from each of its states one that accepts can be reached.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/named_error.hpp"

namespace guest::llm {

class SubsetBuilder;
class Set256;

/// Const calls from any thread.
class Automaton {
 public:
  using State = std::uint16_t;
  static constexpr State kDead = 0xFFFF;

  static constexpr std::size_t kMaxPatternBytes = 512;
  static constexpr std::size_t kMaxGroups = 8;  ///< inside of each other
  static constexpr std::size_t kMaxChoices = 64;
  static constexpr std::size_t kMaxChoiceBytes = 128;
  static constexpr std::size_t kMaxStates = 1024;
  /// States times classes of bytes that no state tells apart: 128 KiB.
  static constexpr std::size_t kMaxTransitions = 65'536;

  /// Texts that match `pattern`. Errors, which say what is allowed:
  ///   llm-bad-pattern            at which byte
  ///   llm-constraint-too-large   positions, states, transitions or steps
  ///   llm-no-memory
  static std::expected<Automaton, kernel::NamedError> of_pattern(std::string_view pattern);
  /// These texts. Errors: llm-bad-choice, llm-constraint-too-large, llm-no-memory.
  static std::expected<Automaton, kernel::NamedError> of_choices(std::span<const std::string_view> choices);

  [[nodiscard]] State start() const { return start_; }
  /// `state` is not kDead, as in the next two.
  [[nodiscard]] State next(State state, std::uint8_t byte) const {
    return next_[std::size_t{state} * class_count_ + class_of_[byte]];
  }
  [[nodiscard]] bool accepts(State state) const { return (accepts_[state / 64] >> (state % 64) & 1) != 0; }
  /// It accepts, and no byte leads on.
  [[nodiscard]] bool is_final(State state) const;
  /// No text begins with a space. Then one more that does is read: the space with which models begin a word.
  [[nodiscard]] bool skips_space() const { return skips_space_; }
  [[nodiscard]] std::size_t states() const { return state_count_; }

 private:
  friend class SubsetBuilder;
  Automaton();
  /// Bytes of `set` and others are told apart.
  void divide(const Set256& set);
  bool allocate();
  /// Without a way on. Nothing: there are too many.
  std::optional<State> add_state(bool accepts);
  State& way(State from, std::size_t byte_class) { return next_[std::size_t{from} * class_count_ + byte_class]; }
  [[nodiscard]] std::unexpected<kernel::NamedError> too_large() const;
  kernel::Outcome add_choices(std::span<const std::string_view> choices);
  void add_space();
  kernel::Outcome finish();

  std::array<std::uint8_t, 256> class_of_{};
  std::size_t class_count_ = 1;
  std::unique_ptr<State[]> next_;  ///< [states, classes]
  std::size_t capacity_ = 0;       ///< states
  std::size_t state_count_ = 0;
  std::array<std::uint64_t, kMaxStates / 64> accepts_{};
  State start_ = 0;
  bool skips_space_ = false;
};

}  // namespace guest::llm
