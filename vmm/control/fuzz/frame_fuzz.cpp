// Bytes from a hostile guest, in pieces whose sizes the first byte chooses: the same frames must come out whatever the
// pieces, and none may break a bound.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "vmm/control/frame.hpp"

namespace {

struct Outcome {
  std::vector<std::string> frames;
  std::string problem;
  bool operator==(const Outcome&) const = default;
};

Outcome read_all(std::span<const std::uint8_t> bytes, std::size_t piece) {
  vmm::control::FrameReader reader;
  Outcome outcome;
  while (!bytes.empty()) {
    const auto now = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(now.size());
    reader.append(now);
    while (true) {
      auto frame = reader.next();
      if (!frame) {
        outcome.problem = frame.error();
        return outcome;
      }
      if (!*frame) break;
      if (!(*frame)->body.is_object()) std::abort();
      outcome.frames.push_back(std::to_string((*frame)->id) + (*frame)->body.dump());
    }
    if (reader.pending_bytes() > sizeof(abi::control::FrameHeader) + abi::control::kMaxPayloadBytes) std::abort();
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::span(data, size).subspan(1);
  if (read_all(bytes, bytes.size() + 1) != read_all(bytes, std::size_t{data[0]} + 1)) std::abort();
  return 0;
}
