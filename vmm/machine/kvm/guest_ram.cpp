#include "guest_ram.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/machine/snapshot/sparse_file.hpp"

namespace vmm::machine_kvm {
namespace {

constexpr std::uint64_t kHugePageBytes = 2ull << 20;

}  // namespace

Result<GuestRam> GuestRam::create(std::uint64_t size_bytes, bool huge_pages) {
  const auto what = [&] {
    std::string text = "cannot make the guest's memory of " + std::to_string(size_bytes >> 20) + " MiB";
    if (!huge_pages) return text;
    return text + " from " + std::to_string(size_bytes / kHugePageBytes) +
           " huge pages (machine.huge_pages; /proc/sys/vm/nr_hugepages reserves them)";
  };
  UniqueFd file(::memfd_create("sis-guest", MFD_CLOEXEC | (huge_pages ? MFD_HUGETLB | MFD_HUGE_2MB : 0)));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) {
    return fail_errno(what(), errno, abi::ExitCode::HostLacks);
  }
  auto mapping = MappedRegion::map_sized(file, size_bytes);
  if (!mapping) return fail(std::move(mapping.error()).because_of(what()).message, abi::ExitCode::HostLacks);
  return over(std::move(file), std::move(*mapping));
}

Result<GuestRam> GuestRam::over(UniqueFd file, MappedRegion mapping) {
  const board::AddressRange range{board::kRamBase, mapping.size()};
  std::vector<GuestMemory::Region> regions;
  regions.push_back({.base = range.base, .size_bytes = mapping.size(), .mapping = std::move(mapping), .skip_bytes = 0});
  auto memory = GuestMemory::create(std::move(regions));
  if (!memory) return std::unexpected(std::move(memory.error()));
  return GuestRam(std::move(file), std::make_shared<const GuestMemory>(std::move(*memory)), range);
}

Result<GuestRam> GuestRam::restore(const std::filesystem::path& path, std::uint64_t size_bytes, bool huge_pages) {
  const std::string what = "cannot restore the guest's memory from " + path.string();
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return fail_errno(what, errno, abi::ExitCode::Usage);
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != size_bytes) {
    return fail(
        what + ": expected a file of " + std::to_string(size_bytes) + " bytes, found " + std::to_string(status.st_size),
        abi::ExitCode::Usage);
  }
  if (huge_pages) {
    // Pages of a file are small.
    auto ram = create(size_bytes, true);
    if (!ram) return ram;
    if (auto read = snapshot::read_sparse(file, ram->all()); !read) {
      return std::unexpected(std::move(read.error()).because_of(what));
    }
    return ram;
  }
  auto mapping = MappedRegion::map_private(file, size_bytes, 0);
  if (!mapping) return std::unexpected(std::move(mapping.error()).because_of(what));
  return over({}, std::move(*mapping));
}

Result<> GuestRam::save(const UniqueFd& file) const { return snapshot::write_sparse(all(), file_, file); }

GuestSlice GuestRam::all() const { return memory_->slice(range_.base, range_.size_bytes).value_or(GuestSlice()); }

Result<> GuestRam::clear() {
  if (file_.valid()) {
    constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (::fallocate(file_.get(), kMode, 0, static_cast<off_t>(range_.size_bytes)) == 0) return {};
  } else {
    // Zeroed memory in the same place: giving pages back would bring those of the snapshot again.
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    const iovec place = all().io();
    if (::mmap(place.iov_base, place.iov_len, PROT_READ | PROT_WRITE, kFlags, -1, 0) != MAP_FAILED) return {};
  }
  return fail_errno("cannot clear the guest's memory");
}

}  // namespace vmm::machine_kvm
