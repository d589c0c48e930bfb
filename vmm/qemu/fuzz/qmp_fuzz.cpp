// Whatever comes on the QMP socket: an error or an event, never a crash, and memory bounded by the line.
#include <cstdint>

#include "vmm/qemu/qmp.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vmm::qemu::QmpSession session([](const std::string&, const nlohmann::json&) {});
  session.execute("query-status", [](const vmm::Result<nlohmann::json>&) {});
  // The first byte says where to cut; char may alias anything.
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = size == 0 ? 0 : data[0] % size;
  if (session.feed(bytes.substr(0, cut))) static_cast<void>(session.feed(bytes.substr(cut)));
  static_cast<void>(session.take_output());
  return 0;
}
