// The boot archive: cpio in the "newc" format (cpio(5), New ASCII Format), read in place.
//
//   entry = "070701", 13 fields of 8 hexadecimal digits, name with NUL, pad to 4, data, pad to 4
//   ... last entry "TRAILER!!!"; zeros may follow
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "abi/boot_config.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::kernel {

/// One regular file; refers to the archive's memory.
struct ArchiveFile {
  std::string_view name;
  std::span<const std::byte> data;  ///< 4-byte aligned relative to the archive
};

/// The regular files of a validated archive. Directories are checked and skipped.
class Archive {
 public:
  constexpr Archive() = default;

  /// Reads the whole of `bytes`, which must outlive this object and stay unchanged. Replaces what was held; on an error
  /// nothing is held. Errors:
  ///   archive-truncated       an entry, name or file does not end within the archive, or there is no trailer
  ///   archive-bad-magic       an entry does not start with 070701
  ///   archive-bad-field       a header field is not hexadecimal, or has a value that cannot be (links, checksum)
  ///   archive-bad-name        empty, too long, not terminated, absolute, with "..", or with control bytes
  ///   archive-bad-type        neither a regular file nor a directory
  ///   archive-duplicate       two files of one name
  ///   archive-too-many        more than abi::boot_config::kMaxArchiveEntries entries
  ///   archive-trailing-data   bytes other than zero after the trailer
  Outcome open(std::span<const std::byte> bytes);

  [[nodiscard]] std::optional<ArchiveFile> find(std::string_view name) const;
  [[nodiscard]] std::span<const ArchiveFile> files() const { return {files_.begin(), files_.size()}; }

 private:
  Outcome read(std::span<const std::byte> bytes);

  BoundedArray<ArchiveFile, abi::boot_config::kMaxArchiveEntries> files_;
};

}  // namespace guest::kernel
