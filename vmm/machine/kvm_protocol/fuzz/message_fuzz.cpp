// Messages of a machine's process that says anything.
#include <cstdint>
#include <cstdlib>

#include "vmm/machine/kvm_protocol/message.hpp"

using namespace vmm::kvm_protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view packet(reinterpret_cast<const char*>(data), size);  // char may alias anything
  if (const auto order = decode_order(packet); order && encode(*order) != packet) std::abort();
  const auto message = decode_news(packet);
  if (!message) return 0;
  const auto again = decode_news(encode(*message));
  if (!again || again->news != message->news || again->text != message->text) std::abort();
  if (again->how.has_value() != message->how.has_value()) std::abort();
  for (const char c : message->how ? message->text : message->how.error().message) {
    if (c == '\x1b' || c == '\n' || c == '\0') std::abort();
  }
  return 0;
}
