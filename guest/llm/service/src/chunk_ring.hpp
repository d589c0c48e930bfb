// The chunks of one request that nobody has read yet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "guest/llm/service/request.hpp"

namespace guest::llm {

/// Under the service's lock.
class ChunkRing {
 public:
  /// False: no memory.
  [[nodiscard]] bool allocate(std::uint32_t capacity);

  /// The number of the first chunk that is kept, and of the next one that comes.
  [[nodiscard]] std::uint64_t first() const { return first_; }
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] std::uint32_t room() const { return capacity_ - static_cast<std::uint32_t>(next_ - first_); }

  /// Adds a token's text, which may be empty, or with kNoToken more of the text before. There is room for it. Returns
  /// how many chunks it took.
  std::uint32_t add(Token token, std::string_view text);
  /// `number` is from first() to next().
  void forget_before(std::uint64_t number) { first_ = number; }
  /// Those from the first one on. Returns how many.
  std::size_t copy(std::span<Chunk> out) const;

 private:
  std::unique_ptr<Chunk[]> chunks_;
  std::uint32_t capacity_ = 0;
  std::uint64_t first_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace guest::llm
