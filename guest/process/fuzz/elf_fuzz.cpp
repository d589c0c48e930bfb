// The reader of programs: any bytes. What is accepted keeps the promises of ElfImage.
#include <cstdint>
#include <cstdlib>
#include <functional>

#include "guest/process/elf.hpp"

namespace {
void promise(bool kept) {
  if (!kept) {
    std::abort();
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace guest;
  constexpr process::ElfBounds kBounds{.begin = 0x1'0000, .end = std::uint64_t{1} << 46, .max_bytes = 1 << 20};
  const auto file = std::as_bytes(std::span(data, size));
  process::ElfImage image;
  const kernel::Outcome outcome = process::read_elf(file, kBounds, image);
  if (!outcome) {
    promise(!outcome.error().name.empty() && !outcome.error().detail.view().empty() && image.segments.empty());
    return 0;
  }
  std::uint64_t total = 0;
  std::uint64_t behind = kBounds.begin;
  bool entry_found = false;
  for (const process::ElfSegment& segment : image.segments) {
    promise(segment.first_page() >= behind && segment.bytes != 0 && segment.end_page() <= kBounds.end);
    behind = segment.end_page();
    total += segment.end_page() - segment.first_page();
    promise(segment.file.size() <= segment.bytes && segment.file.size() <= size);
    promise(segment.file.empty() || (std::less_equal<>()(file.data(), segment.file.data()) &&
                                     std::less_equal<>()(&segment.file.back(), &file.back())));
    entry_found = entry_found || (segment.access == arch::Access::ReadExecute && image.entry >= segment.address &&
                                  image.entry < segment.end());
  }
  promise(entry_found && image.entry % 4 == 0 && total <= kBounds.max_bytes);
  return 0;
}
