#include "guest_ram.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>

namespace vmm::machine_kvm {
namespace {

constexpr std::uint64_t kHugePageBytes = 2ull << 20;

}  // namespace

Result<GuestRam> GuestRam::create(std::uint64_t size_bytes, bool huge_pages) {
  std::string what = "cannot make the guest's memory of " + std::to_string(size_bytes >> 20) + " MiB";
  if (huge_pages) {
    what += " from " + std::to_string(size_bytes / kHugePageBytes) +
            " huge pages (machine.huge_pages; /proc/sys/vm/nr_hugepages reserves them)";
  }
  UniqueFd file(::memfd_create("sis-guest", MFD_CLOEXEC | (huge_pages ? MFD_HUGETLB | MFD_HUGE_2MB : 0)));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) {
    return fail_errno(what, errno, abi::ExitCode::HostLacks);
  }
  auto mapping = MappedRegion::map_shared(file, size_bytes, 0);
  if (!mapping) return fail(std::move(mapping.error()).because_of(what).message, abi::ExitCode::HostLacks);
  std::vector<GuestMemory::Region> regions;
  regions.push_back(
      {.base = board::kRamBase, .size_bytes = size_bytes, .mapping = std::move(*mapping), .skip_bytes = 0});
  auto memory = GuestMemory::create(std::move(regions));
  if (!memory) return std::unexpected(std::move(memory.error()).because_of(what));
  return GuestRam(std::move(file), std::make_shared<const GuestMemory>(std::move(*memory)),
                  {board::kRamBase, size_bytes});
}

GuestSlice GuestRam::all() const { return memory_->slice(range_.base, range_.size_bytes).value_or(GuestSlice()); }

Result<> GuestRam::clear() {
  constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(file_.get(), kMode, 0, static_cast<off_t>(range_.size_bytes)) == 0) return {};
  return fail_errno("cannot clear the guest's memory");
}

}  // namespace vmm::machine_kvm
