// Neighbours that become one, the best ones first.
//
//   O n c e   u p o n        symbols, a list through an array
//   \_/ \_/   \_/ \_/        a queue of pairs that could be merged, the lowest rank first, the leftmost of equal ones
//   On  ce    up  on         a merge makes up to two new pairs; those with a symbol that has changed are dropped when
//     \_/                    they come up
//
// n symbols have at most n - 1 merges, each of which leaves one pair more in the queue than before: O(n log n) steps,
// 2n entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "guest/kernel/named_error.hpp"
#include "guest/llm/tokenizer/vocabulary.hpp"

namespace guest::llm {

inline constexpr Token kNoToken = UINT32_MAX;

struct Symbol {
  std::uint32_t begin = 0;  ///< in the text
  std::uint32_t bytes = 0;  ///< 0: merged into the one before
  Token token = kNoToken;
  std::uint32_t previous = 0;
  std::uint32_t next = 0;
};

class MergeRule {
 public:
  struct Merged {
    Token token;
    std::uint32_t rank;
  };
  /// What two neighbours become; nothing: they stay.
  [[nodiscard]] virtual std::optional<Merged> merge(const Symbol& left, const Symbol& right) const = 0;

 protected:
  ~MergeRule() = default;
};

class Merger {
 public:
  /// For up to `capacity` symbols at a time. Error: tokenizer-no-memory.
  static std::expected<Merger, kernel::NamedError> make(std::size_t capacity);

  /// Begins anew.
  void clear() { count_ = 0; }
  /// Behind those that are there. Its text begins where theirs end.
  void add(std::uint32_t begin, std::uint32_t bytes, Token token);
  void run(const MergeRule& rule);

  /// What is left, in the text's order: `visit(const Symbol&)`.
  template <typename Visit>
  void each(Visit&& visit) const {
    for (std::uint32_t i = 0; i < count_; i = symbols_[i].next) {
      visit(symbols_[i]);
    }
  }

 private:
  /// A pair that was there when it was queued.
  struct Pair {
    std::uint32_t rank;
    std::uint32_t left;
    std::uint32_t right;
    std::uint32_t bytes;  ///< of both
    Token token;
  };
  /// std heaps have the largest one first.
  static bool is_behind(const Pair& a, const Pair& b) { return a.rank != b.rank ? a.rank > b.rank : a.left > b.left; }

  Merger() = default;
  void offer(const MergeRule& rule, std::uint32_t left);

  std::unique_ptr<Symbol[]> symbols_;
  std::unique_ptr<Pair[]> queue_;
  std::uint32_t capacity_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t queued_ = 0;
};

}  // namespace guest::llm
