// A byte stream in any pieces: the first byte says how long the pieces are. Frames must not depend on the pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "guest/control/frame.hpp"

namespace {

using namespace guest::control;

struct Seen {
  std::vector<std::vector<std::byte>> payloads;
  bool broken = false;
  bool operator==(const Seen&) const = default;
};

Seen cut(std::span<const std::byte> stream, std::size_t piece) {
  Seen seen;
  FrameAssembler assembler;
  while (!stream.empty()) {
    const std::span<const std::byte> part = stream.first(std::min(piece, stream.size()));
    const std::size_t used = assembler.append(part);
    stream = stream.subspan(used);
    switch (assembler.state()) {
      case FrameAssembler::State::NeedsBytes:
        if (used != part.size()) {
          std::abort();
        }
        break;
      case FrameAssembler::State::Complete: {
        const Frame frame = assembler.frame();
        if (frame.payload.size() != frame.header.length || frame.header.length > abi::control::kMaxPayloadBytes) {
          std::abort();
        }
        seen.payloads.emplace_back(frame.payload.begin(), frame.payload.end());
        assembler.take();
        break;
      }
      case FrameAssembler::State::Broken:
        if (assembler.error().code.empty()) {
          std::abort();
        }
        seen.broken = true;
        return seen;
      case FrameAssembler::State::NoMemory:
        std::abort();
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto stream = std::as_bytes(std::span(data + 1, size - 1));
  if (cut(stream, std::max<std::size_t>(data[0], 1)) != cut(stream, stream.size() + 1)) {
    std::abort();
  }
  return 0;
}
