// Where the bytes of a kernel or an initrd come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/memory/guest_memory.hpp"

namespace vmm::board {

/// A file of fixed size, read in pieces: what is loaded goes straight into the guest's memory and is never held here.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
  /// Reads exactly to.iov_len bytes. Errors: the range does not lie in the file, the file cannot be read or has
  /// become shorter.
  [[nodiscard]] virtual Result<> read(std::uint64_t offset, iovec to) const = 0;

  [[nodiscard]] Result<> read(std::uint64_t offset, std::span<std::byte> to) const {
    return read(offset, iovec{to.data(), to.size()});
  }
};

/// Opens a regular file. Its size is taken now. Errors (ExitCode::Usage) name the file.
Result<std::unique_ptr<ImageSource>> open_image(const std::filesystem::path& path);

/// Bytes in memory, which must outlive it.
class MemoryImage final : public ImageSource {
 public:
  MemoryImage(std::string name, std::span<const std::byte> bytes) : name_(std::move(name)), bytes_(bytes) {}

  using ImageSource::read;
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::uint64_t size_bytes() const override { return bytes_.size(); }
  [[nodiscard]] Result<> read(std::uint64_t offset, iovec to) const override;

 private:
  std::string name_;
  std::span<const std::byte> bytes_;
};

}  // namespace vmm::board
