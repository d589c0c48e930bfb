// Any bytes: a document that is accepted can be walked whole, and written again it parses to the same.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "guest/control/cbor.hpp"

namespace {

using namespace guest::control;

/// Walks a value, with the work that a reader does. Returns how many values there are.
std::size_t walk(const CborValue& value, unsigned depth) {
  if (depth > kMaxCborDepth) {
    std::abort();
  }
  std::size_t count = 1;
  if (value.type != CborType::Array && value.type != CborType::Map) {
    std::size_t sum = 0;
    for (const std::byte byte : value.content) {
      sum += std::to_integer<unsigned>(byte);
    }
    return count + (sum & 0);
  }
  std::uint64_t items_seen = 0;
  CborItems items(value);
  while (const auto item = items.next()) {
    ++items_seen;
    count += walk(*item, depth + 1);
  }
  if (items_seen != value.number * (value.type == CborType::Map ? 2 : 1)) {
    std::abort();
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = parse_cbor(std::as_bytes(std::span(data, size)));
  if (!parsed) {
    if (parsed.error().what.empty() || parsed.error().offset > size) {
      std::abort();
    }
    return 0;
  }
  const std::size_t values = walk(*parsed, 0);
  std::vector<std::byte> memory(size + 9);
  CborWriter writer(memory);
  writer.value(*parsed);
  const auto again = parse_cbor(writer.written());
  if (writer.overflowed() || !again || walk(*again, 0) != values || again->type != parsed->type) {
    std::abort();
  }
  return 0;
}
