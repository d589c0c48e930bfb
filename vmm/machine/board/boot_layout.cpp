#include "vmm/machine/board/boot_layout.hpp"

#include <algorithm>

namespace vmm::board {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kFarthest = 128 * kMiB;
/// The largest page size of a guest: initrd and tree can be given back page by page.
constexpr std::uint64_t kAlignment = std::uint64_t{64} * 1024;

constexpr std::uint64_t align_up(std::uint64_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Result<BootLayout> place_boot_files(AddressRange ram, AddressRange kernel, std::optional<std::uint64_t> initrd_bytes,
                                    std::uint64_t device_tree_bytes) {
  BootLayout layout{.kernel = kernel, .initrd = std::nullopt, .device_tree = {}};
  // Offsets into RAM; none can wrap, because each is at most RAM's size, which lies below 2^63.
  std::uint64_t next = std::min(ram.size_bytes / 2, kFarthest);
  next = align_up(std::max(next, kernel.end().value() - ram.base.value()));
  const auto place = [&](std::uint64_t bytes) -> std::optional<AddressRange> {
    if (next > ram.size_bytes || bytes > ram.size_bytes - next) return std::nullopt;
    const AddressRange range{Gpa(ram.base.value() + next), bytes};
    next = align_up(next + bytes);
    return range;
  };
  const auto too_small = [&](const char* what, std::uint64_t bytes) {
    return fail(std::string(what) + " of " + std::to_string(bytes) + " bytes does not fit into the guest's memory of " +
                    std::to_string(ram.size_bytes / kMiB) + " MiB behind the kernel, which ends " +
                    std::to_string((kernel.end().value() - ram.base.value()) / kMiB) + " MiB into it",
                abi::ExitCode::Usage);
  };
  if (initrd_bytes) {
    layout.initrd = place(*initrd_bytes);
    if (!layout.initrd) return too_small("the initrd", *initrd_bytes);
  }
  const auto device_tree = place(device_tree_bytes);
  if (!device_tree) return too_small("the device tree", device_tree_bytes);
  layout.device_tree = *device_tree;
  return layout;
}

}  // namespace vmm::board
