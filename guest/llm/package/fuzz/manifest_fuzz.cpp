// Any bytes: a manifest that is read is written again as the same bytes; there is one way.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "guest/kernel/format.hpp"
#include "guest/llm/package/manifest.hpp"

namespace {

using namespace guest;

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto parsed = llm::package::parse_manifest(bytes);
  if (!parsed) {
    expect(parsed.error().name.starts_with("package-") && parsed.error().name.size() <= 24 &&
           !parsed.error().detail.view().empty());
    return 0;
  }
  kernel::FixedText<llm::package::kMaxManifestBytes> text;
  llm::package::write_signed_lines(text, parsed->manifest);
  expect(parsed->signed_bytes.data() == bytes.data() && parsed->signed_bytes.size() == text.view().size());
  llm::package::write_signature_line(text, parsed->signature);
  expect(!text.truncated() && text.view().size() == size && std::memcmp(text.view().data(), data, size) == 0);
  return 0;
}
