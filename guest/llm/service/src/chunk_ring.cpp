#include "chunk_ring.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"

namespace guest::llm {

bool ChunkRing::allocate(std::uint32_t capacity) {
  chunks_.reset(new (std::nothrow) Chunk[capacity]);
  capacity_ = chunks_ == nullptr ? 0 : capacity;
  return chunks_ != nullptr;
}

std::uint32_t ChunkRing::add(Token token, std::string_view text) {
  std::uint32_t count = 0;
  do {
    kernel::require(room() > 0, "a chunk is added to a full ring");
    const std::string_view part = text.substr(0, Chunk::kTextBytes);
    Chunk& chunk = chunks_[next_ % capacity_];
    chunk.number = next_++;
    chunk.token = count == 0 ? token : Chunk::kNoToken;
    chunk.size = static_cast<std::uint8_t>(part.size());
    std::ranges::copy(part, chunk.bytes.begin());
    text.remove_prefix(part.size());
    ++count;
  } while (!text.empty());
  return count;
}

std::size_t ChunkRing::copy(std::span<Chunk> out) const {
  const std::size_t count = std::min<std::size_t>(out.size(), next_ - first_);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = chunks_[(first_ + i) % capacity_];
  }
  return count;
}

}  // namespace guest::llm
