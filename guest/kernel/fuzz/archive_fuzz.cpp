// The boot archive's reader: any bytes. What it accepts must lie within them.
#include <cstdint>
#include <cstdlib>
#include <functional>

#include "guest/kernel/archive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace guest::kernel;
  static Archive archive;
  const auto bytes = std::as_bytes(std::span(data, size));
  const Outcome outcome = archive.open(bytes);
  if (!outcome) {
    if (outcome.error().name.empty() || outcome.error().detail.view().empty() || !archive.files().empty()) {
      std::abort();
    }
    return 0;
  }
  const auto inside = [&](const void* begin, std::size_t length) {
    const auto* const at = static_cast<const std::byte*>(begin);
    return std::less_equal<>()(bytes.data(), at) && length <= size &&
           static_cast<std::size_t>(at - bytes.data()) <= size - length;
  };
  for (const ArchiveFile& file : archive.files()) {
    if (!inside(file.name.data(), file.name.size()) || !inside(file.data.data(), file.data.size()) ||
        archive.find(file.name)->data.data() != file.data.data()) {
      std::abort();
    }
  }
  return 0;
}
