// Writes cpio archives in the "newc" format (cpio(5), New ASCII Format):
//
//   entry = "070701", 13 fields of 8 hexadecimal digits, name with NUL, pad to 4, data, pad to 4
//   ... last entry "TRAILER!!!"
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/result.hpp"

namespace vmm::scenario {

/// Regular files only. Everything that is not in the scenario (owner, times, devices) is zero, so that one scenario
/// gives one archive.
class CpioWriter {
 public:
  /// Adds a file. Refused: names that the guest refuses (empty, absolute, "..", control characters, more than
  /// abi::boot_config::kMaxNameBytes), a name for the second time, more than kMaxArchiveEntries entries, and data of
  /// 4 GiB or more.
  Result<> add(std::string_view name, std::span<const std::byte> data);

  /// Ends the archive with the trailer and hands it over.
  std::vector<std::byte> finish() &&;

 private:
  void append(std::string_view name, std::span<const std::byte> data, std::uint32_t mode);
  void append_bytes(std::span<const std::byte> bytes);
  void pad();

  std::vector<std::byte> bytes_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace vmm::scenario
