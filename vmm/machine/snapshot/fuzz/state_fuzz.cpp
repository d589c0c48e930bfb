// Any bytes as a snapshot's machine file, with and without a good header before them. What is accepted must be what
// encode() makes of it, byte for byte.
#include <algorithm>
#include <cstdlib>

#include "vmm/machine/snapshot/state.hpp"

namespace {

constexpr std::size_t kHeaderBytes = 16;

void check(std::span<const std::byte> bytes) {
  const auto state = vmm::snapshot::decode(bytes);
  if (!state) {
    if (state.error().message.empty()) std::abort();
    return;
  }
  if (!std::ranges::equal(vmm::snapshot::encode(*state), bytes)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  check(bytes);
  std::vector<std::byte> file = vmm::snapshot::encode({});
  file.resize(kHeaderBytes);
  file.insert(file.end(), bytes.begin(), bytes.end());
  check(file);
  return 0;
}
