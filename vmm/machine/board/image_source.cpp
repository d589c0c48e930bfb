#include "vmm/machine/board/image_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vmm::board {
namespace {

using abi::ExitCode;

Result<> check_range(const ImageSource& source, std::uint64_t offset, std::uint64_t length) {
  if (length <= source.size_bytes() && offset <= source.size_bytes() - length) return {};
  return fail(source.name() + " has " + std::to_string(source.size_bytes()) + " bytes; " + std::to_string(length) +
                  " bytes from offset " + std::to_string(offset) + " do not lie in it",
              ExitCode::Usage);
}

class FileImage final : public ImageSource {
 public:
  FileImage(std::string name, UniqueFd fd, std::uint64_t size_bytes)
      : name_(std::move(name)), fd_(std::move(fd)), size_bytes_(size_bytes) {}

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t size_bytes() const override { return size_bytes_; }

  [[nodiscard]] Result<> read(std::uint64_t offset, iovec to) const override {
    if (auto inside = check_range(*this, offset, to.iov_len); !inside) return inside;
    auto* next = static_cast<std::byte*>(to.iov_base);
    for (std::size_t left = to.iov_len; left != 0;) {
      const ssize_t got = ::pread(fd_.get(), next, left, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno("cannot read " + name_);
      if (got == 0) return fail(name_ + " has become shorter while it was loaded");
      next += got;
      offset += static_cast<std::uint64_t>(got);
      left -= static_cast<std::size_t>(got);
    }
    return {};
  }

 private:
  std::string name_;
  UniqueFd fd_;
  std::uint64_t size_bytes_;
};

}  // namespace

Result<std::unique_ptr<ImageSource>> open_image(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO would wait for its other end before its kind can be seen.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return fail_errno("cannot open " + path.string(), errno, ExitCode::Usage);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("cannot read " + path.string());
  if (!S_ISREG(status.st_mode)) return fail(path.string() + " is not a regular file", ExitCode::Usage);
  return std::make_unique<FileImage>(path.string(), std::move(fd), static_cast<std::uint64_t>(status.st_size));
}

Result<> MemoryImage::read(std::uint64_t offset, iovec to) const {
  if (auto inside = check_range(*this, offset, to.iov_len); !inside) return inside;
  if (to.iov_len != 0) std::memcpy(to.iov_base, bytes_.data() + offset, to.iov_len);
  return {};
}

}  // namespace vmm::board
