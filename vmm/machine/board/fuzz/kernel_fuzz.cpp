// Any file as a kernel, in every format. What is accepted must lie where inspect_kernel() promises.
#include <array>
#include <cstdlib>

#include "vmm/machine/board/boot_layout.hpp"
#include "vmm/machine/board/kernel_image.hpp"

namespace {

using vmm::Gpa;
using namespace vmm::board;

constexpr AddressRange kRam{kRamBase, std::uint64_t{4} * 1024 * 1024};
constexpr std::uint64_t kTreeBytes = 4096;

const vmm::GuestMemory& memory() {
  static const vmm::GuestMemory guest = [] {
    std::vector<vmm::GuestMemory::Region> regions(1);
    regions[0].base = kRam.base;
    regions[0].size_bytes = kRam.size_bytes;
    regions[0].mapping = *vmm::MappedRegion::anonymous(kRam.size_bytes);
    return *vmm::GuestMemory::create(std::move(regions));
  }();
  return guest;
}

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const KernelImage& kernel, std::size_t file_bytes) {
  require(kRam.contains(kernel.occupied));
  bool entry_inside = false;
  for (std::size_t i = 0; i < kernel.segments.size(); ++i) {
    const KernelSegment& segment = kernel.segments[i];
    require(kernel.occupied.contains(segment.memory));
    require(segment.file_bytes <= segment.memory.size_bytes);
    require(segment.file_bytes <= file_bytes && segment.file_offset <= file_bytes - segment.file_bytes);
    for (std::size_t j = 0; j < i; ++j) require(!segment.memory.overlaps(kernel.segments[j].memory));
    entry_inside = entry_inside || segment.memory.contains({kernel.entry, 1});
  }
  require(entry_inside);
  const auto layout = place_boot_files(kRam, kernel.occupied, file_bytes, kTreeBytes);
  if (!layout) return;
  require(kRam.contains(*layout->initrd) && kRam.contains(layout->device_tree));
  require(!layout->initrd->overlaps(kernel.occupied) && !layout->initrd->overlaps(layout->device_tree) &&
          !layout->device_tree.overlaps(kernel.occupied));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryImage source("kernel", std::as_bytes(std::span(data, size)));
  for (const KernelFormat format : {KernelFormat::Auto, KernelFormat::Image, KernelFormat::Elf, KernelFormat::Flat}) {
    const auto kernel = inspect_kernel(source, format, kRam);
    if (!kernel) continue;
    check(*kernel, size);
    require(load_kernel(*kernel, source, memory()).has_value());
  }
  return 0;
}
