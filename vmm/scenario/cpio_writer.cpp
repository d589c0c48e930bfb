#include "cpio_writer.hpp"

#include <array>
#include <limits>

#include "abi/boot_config.hpp"

namespace vmm::scenario {
namespace {

namespace limit = abi::boot_config;

constexpr std::string_view kMagic = "070701";
constexpr std::string_view kTrailer = "TRAILER!!!";
constexpr std::uint32_t kRegularFile = 0100644;  // S_IFREG | 0644

void append_hex(std::string& header, std::uint32_t value) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (int shift = 28; shift >= 0; shift -= 4) header += kDigits[(value >> shift) & 15];
}

bool is_good_name(std::string_view name) {
  if (name.empty() || name.size() > limit::kMaxNameBytes || name.front() == '/' || name == kTrailer) return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  }
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('/', start), name.size());
    const std::string_view part = name.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

}  // namespace

Result<> CpioWriter::add(std::string_view name, std::span<const std::byte> data) {
  if (!is_good_name(name)) {
    return fail("boot archive: a file cannot be called \"" + std::string(name) +
                "\": expected a relative path of at most " + std::to_string(limit::kMaxNameBytes) +
                " bytes without \".\", \"..\" or control characters");
  }
  if (names_.size() >= limit::kMaxArchiveEntries) {
    return fail("boot archive: more than " + std::to_string(limit::kMaxArchiveEntries) + " files");
  }
  if (data.size() > std::numeric_limits<std::uint32_t>::max()) {
    return fail("boot archive: " + std::string(name) + " has " + std::to_string(data.size()) +
                " bytes, expected less than 4 GiB");
  }
  if (!names_.emplace(name).second) return fail("boot archive: two files called " + std::string(name));
  append(name, data, kRegularFile);
  return {};
}

std::vector<std::byte> CpioWriter::finish() && {
  append(kTrailer, {}, 0);
  return std::move(bytes_);
}

void CpioWriter::append(std::string_view name, std::span<const std::byte> data, std::uint32_t mode) {
  const auto inode = static_cast<std::uint32_t>(names_.size());  // numbers apart: the same one twice is a hard link
  const std::array<std::uint32_t, 13> fields = {
      mode == 0 ? 0 : inode,                        // ino
      mode,                                         // mode
      0,                                            // uid
      0,                                            // gid
      1,                                            // nlink
      0,                                            // mtime
      static_cast<std::uint32_t>(data.size()),      // filesize
      0,                                            // devmajor
      0,                                            // devminor
      0,                                            // rdevmajor
      0,                                            // rdevminor
      static_cast<std::uint32_t>(name.size() + 1),  // namesize, with the NUL
      0,                                            // check
  };
  std::string header(kMagic);
  for (const std::uint32_t field : fields) append_hex(header, field);
  header += name;
  header += '\0';
  append_bytes(std::as_bytes(std::span(header)));
  pad();
  append_bytes(data);
  pad();
}

void CpioWriter::append_bytes(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void CpioWriter::pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4); }

}  // namespace vmm::scenario
