#include "boot.hpp"

#include <sys/random.h>

#include <array>

#include "vmm/base/file.hpp"
#include "vmm/machine/snapshot/state.hpp"

namespace vmm::machine_kvm {
namespace {

constexpr std::size_t kSeedBytes = 40;

Result<std::array<std::byte, kSeedBytes>> make_seed() {
  std::array<std::byte, kSeedBytes> seed;
  // At most 256 bytes are always given whole.
  if (::getrandom(seed.data(), seed.size(), 0) != static_cast<ssize_t>(seed.size())) {
    return fail_errno("cannot get random bytes for the guest");
  }
  return seed;
}

Result<> copy(const board::ImageSource& from, const UniqueFd& to, const char* name) {
  std::vector<std::byte> bytes(from.size_bytes());
  if (auto read = from.read(0, bytes); !read) return read;
  return write_all(to, bytes, name);
}

}  // namespace

Result<BootFiles> BootFiles::open(const std::filesystem::path& kernel, board::KernelFormat format,
                                  const std::filesystem::path& initrd, board::AddressRange ram) {
  BootFiles files;
  auto source = board::open_image(kernel);
  if (!source) return std::unexpected(std::move(source.error()));
  files.kernel_source_ = std::move(*source);
  auto image = board::inspect_kernel(*files.kernel_source_, format, ram);
  if (!image) return std::unexpected(std::move(image.error()));
  files.kernel_ = std::move(*image);
  if (!initrd.empty()) {
    auto opened = board::open_image(initrd);
    if (!opened) return std::unexpected(std::move(opened.error()));
    files.initrd_source_ = std::move(*opened);
  }
  return files;
}

Result<> BootFiles::save(const machine::SnapshotFiles& files) const {
  if (auto copied = copy(*kernel_source_, files.kernel, snapshot::file::kKernel); !copied) return copied;
  if (!initrd_source_) return {};
  return copy(*initrd_source_, files.initrd, snapshot::file::kInitrd);
}

Result<BootState> BootFiles::load(const GuestRam& ram, board::DeviceTreeConfig tree) const {
  std::optional<std::uint64_t> initrd_bytes;
  if (initrd_source_) initrd_bytes = initrd_source_->size_bytes();
  // The tree's size depends little on what is in it, but it does: room for the largest, of which only what is used is
  // ever touched.
  const auto layout = board::place_boot_files(ram.range(), kernel_.occupied, initrd_bytes, board::kMaxDeviceTreeBytes);
  if (!layout) return std::unexpected(layout.error());

  const auto seed = make_seed();
  if (!seed) return std::unexpected(seed.error());
  tree.ram = ram.range();
  tree.initrd = layout->initrd;
  tree.seed = *seed;
  const auto blob = board::write_device_tree(tree);
  if (!blob) return std::unexpected(blob.error());

  const GuestMemory& memory = *ram.memory();
  if (auto loaded = board::load_kernel(kernel_, *kernel_source_, memory); !loaded) {
    return std::unexpected(std::move(loaded.error()));
  }
  if (layout->initrd) {
    const auto to = memory.slice(layout->initrd->base, layout->initrd->size_bytes);
    if (!to) return fail(to.error().message());
    if (auto read = initrd_source_->read(0, to->io()); !read) return std::unexpected(std::move(read.error()));
  }
  if (auto copied = memory.copy_in(layout->device_tree.base, *blob); !copied) return fail(copied.error().message());
  return BootState{.entry = kernel_.entry, .device_tree = layout->device_tree.base};
}

}  // namespace vmm::machine_kvm
