#include "vmm/base/mapped_region.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <limits>
#include <string>

namespace vmm {

MappedRegion& MappedRegion::operator=(MappedRegion&& other) noexcept {
  if (this != &other) {
    reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void MappedRegion::reset() {
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

Result<MappedRegion> MappedRegion::map_shared(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes) {
  return map_file(fd, size_bytes, offset_bytes, MAP_SHARED);
}

Result<MappedRegion> MappedRegion::map_private(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes) {
  return map_file(fd, size_bytes, offset_bytes, MAP_PRIVATE | MAP_NORESERVE);
}

Result<MappedRegion> MappedRegion::map_file(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes,
                                            int flags) {
  if (size_bytes == 0) return fail("cannot map 0 bytes of a file");
  constexpr auto kMaxOffset = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  if (offset_bytes > kMaxOffset || size_bytes > kMaxOffset - offset_bytes) {
    return fail("cannot map " + std::to_string(size_bytes) + " bytes from offset " + std::to_string(offset_bytes) +
                ": the range ends beyond the largest file offset");
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot examine the file to be mapped");
  if (S_ISREG(info.st_mode)) {
    const auto file_bytes = static_cast<std::uint64_t>(info.st_size);
    if (offset_bytes > file_bytes || size_bytes > file_bytes - offset_bytes) {
      return fail("cannot map " + std::to_string(size_bytes) + " bytes from offset " + std::to_string(offset_bytes) +
                  " of a file of " + std::to_string(file_bytes) + " bytes");
    }
  }
  return map(fd, size_bytes, offset_bytes, flags);
}

Result<MappedRegion> MappedRegion::map_sized(const UniqueFd& fd, std::size_t size_bytes) {
  return map(fd, size_bytes, 0, MAP_SHARED);
}

Result<MappedRegion> MappedRegion::map(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes,
                                       int flags) {
  void* address =
      ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, flags, fd.get(), static_cast<off_t>(offset_bytes));
  if (address == MAP_FAILED) {
    return fail_errno("cannot map " + std::to_string(size_bytes) + " bytes of a file, offset " +
                      std::to_string(offset_bytes));
  }
  return MappedRegion(static_cast<std::byte*>(address), size_bytes);
}

Result<MappedRegion> MappedRegion::anonymous(std::size_t size_bytes) {
  if (size_bytes == 0) return fail("cannot map 0 bytes of memory");
  void* address = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return fail_errno("cannot map " + std::to_string(size_bytes) + " bytes of memory");
  return MappedRegion(static_cast<std::byte*>(address), size_bytes);
}

}  // namespace vmm
