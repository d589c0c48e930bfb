#include "guest/kernel/archive.hpp"

#include <algorithm>
#include <cstdint>

namespace guest::kernel {
namespace {

using Bytes = std::span<const std::byte>;

// cpio(5), New ASCII Format.
constexpr std::string_view kMagic = "070701";
constexpr std::string_view kTrailer = "TRAILER!!!";
constexpr std::size_t kFieldDigits = 8;
constexpr std::size_t kHeaderBytes = 110;
constexpr std::size_t kPadding = 4;
enum class FieldIndex : std::uint8_t { Mode = 1, Links = 4, FileSize = 6, NameSize = 11, Checksum = 12 };
constexpr std::size_t kFields = 13;
static_assert(kMagic.size() + kFields * kFieldDigits == kHeaderBytes);

// POSIX <sys/stat.h>, as cpio stores it.
constexpr std::uint32_t kTypeMask = 0170000;
constexpr std::uint32_t kTypeRegular = 0100000;
constexpr std::uint32_t kTypeDirectory = 0040000;

std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // char aliases anything
}

/// Value of a hexadecimal digit; 16: it is none.
constexpr std::uint32_t digit(char c) {
  if (c >= '0' && c <= '9') {
    return static_cast<std::uint32_t>(c - '0');
  }
  if (c >= 'a' && c <= 'f') {
    return static_cast<std::uint32_t>(c - 'a' + 10);
  }
  return c >= 'A' && c <= 'F' ? static_cast<std::uint32_t>(c - 'A' + 10) : 16;
}

/// Why `name` cannot name a file here; empty: it can.
std::string_view name_problem(std::string_view name) {
  if (name.empty()) {
    return "it is empty";
  }
  if (name.front() == '/') {
    return "it is absolute";
  }
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return "it has control bytes";
    }
  }
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at) == "..") {
      return "it leads out of the archive";
    }
    at = end + 1;
  }
  return {};
}

/// One entry of the archive.
struct Entry {
  std::string_view name;
  Bytes data;
  std::uint32_t mode = 0;
  std::uint32_t links = 0;
};

class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] Bytes rest() const { return bytes_.subspan(at_); }

  /// Reads the entry at the position and moves behind it.
  Outcome next(Entry& entry) {
    start_ = at_;
    Bytes header;
    if (const Outcome outcome = take(kHeaderBytes, "a header", header); !outcome) {
      return outcome;
    }
    const std::string_view text = as_text(header);
    if (text.substr(0, kMagic.size()) != kMagic) {
      return fail("archive-bad-magic", "entry at byte {} starts with '{}', expected '{}' (newc, not compressed)",
                  start_, escaped(text.substr(0, kMagic.size())), kMagic);
    }
    std::uint32_t fields[kFields] = {};
    for (std::size_t i = 0; i < kFields; ++i) {
      for (const char c : text.substr(kMagic.size() + i * kFieldDigits, kFieldDigits)) {
        if (digit(c) > 15) {
          return fail("archive-bad-field", "entry at byte {}: field {} is '{}', expected 8 hexadecimal digits", start_,
                      i + 1, escaped(text.substr(kMagic.size() + i * kFieldDigits, kFieldDigits)));
        }
        fields[i] = fields[i] * 16 + digit(c);
      }
    }
    const auto field = [&fields](FieldIndex index) { return fields[static_cast<std::size_t>(index)]; };
    if (field(FieldIndex::Checksum) != 0) {
      return fail("archive-bad-field", "entry at byte {}: checksum {:#x}, expected 0 in this format", start_,
                  field(FieldIndex::Checksum));
    }
    entry.mode = field(FieldIndex::Mode);
    entry.links = field(FieldIndex::Links);
    if (const Outcome outcome = read_name(field(FieldIndex::NameSize), entry); !outcome) {
      return outcome;
    }
    const Outcome outcome = take(field(FieldIndex::FileSize), "the data of a file", entry.data);
    skip_padding();
    return outcome;
  }

 private:
  /// The next `size` bytes.
  Outcome take(std::size_t size, std::string_view what, Bytes& taken) {
    const std::size_t left = bytes_.size() - at_;
    if (size > left) {
      return fail("archive-truncated", "{} at byte {} of {} needs {} bytes, {} are left", what, at_, bytes_.size(),
                  size, left);
    }
    taken = bytes_.subspan(at_, size);
    at_ += size;
    return {};
  }

  void skip_padding() { at_ = std::min((at_ + kPadding - 1) / kPadding * kPadding, bytes_.size()); }

  Outcome read_name(std::uint32_t size, Entry& entry) {
    if (size == 0 || size > abi::boot_config::kMaxNameBytes + 1) {
      return fail("archive-bad-name", "entry at byte {}: a name of {} bytes with its NUL, expected 2 to {}", start_,
                  size, abi::boot_config::kMaxNameBytes + 1);
    }
    Bytes bytes;
    if (const Outcome outcome = take(size, "a name", bytes); !outcome) {
      return outcome;
    }
    skip_padding();
    entry.name = as_text(bytes);
    if (entry.name.find('\0') != size - 1) {
      return fail("archive-bad-name", "entry at byte {}: '{}' does not end with its only NUL", start_,
                  escaped(entry.name.substr(0, 64)));
    }
    entry.name.remove_suffix(1);
    return {};
  }

  Bytes bytes_;
  std::size_t at_ = 0;
  std::size_t start_ = 0;  ///< of the entry at hand
};

Outcome check_trailing(const Reader& reader) {
  const Bytes rest = reader.rest();
  const auto* const other =
      std::find_if(rest.data(), rest.data() + rest.size(), [](std::byte byte) { return byte != std::byte{0}; });
  if (other != rest.data() + rest.size()) {
    return fail("archive-trailing-data", "byte {:#x} at {} after the trailer, expected nothing but zeros",
                static_cast<unsigned>(*other), reader.position() + static_cast<std::size_t>(other - rest.data()));
  }
  return {};
}

/// Checks an entry that is not the trailer. `is_file` tells whether it is a file.
Outcome check(Entry& entry, bool& is_file) {
  while (entry.name.starts_with("./")) {
    entry.name.remove_prefix(2);  // as `find . | cpio` writes them
  }
  const std::uint32_t type = entry.mode & kTypeMask;
  is_file = type == kTypeRegular;
  if (!is_file && type != kTypeDirectory) {
    return fail("archive-bad-type", "'{}' has mode {:#x}: neither a regular file nor a directory",
                escaped(entry.name.substr(0, 64)), entry.mode);
  }
  if (const std::string_view problem = name_problem(entry.name); !problem.empty()) {
    return fail("archive-bad-name", "'{}': {}", escaped(entry.name.substr(0, 64)), problem);
  }
  if (is_file ? entry.links > 1 : !entry.data.empty()) {
    return fail("archive-bad-field", "'{}': {}", escaped(entry.name.substr(0, 64)),
                is_file ? "hard links are not supported" : "a directory with data");
  }
  return {};
}

}  // namespace

std::optional<ArchiveFile> Archive::find(std::string_view name) const {
  for (const ArchiveFile& file : files_) {
    if (file.name == name) {
      return file;
    }
  }
  return std::nullopt;
}

Outcome Archive::read(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  for (std::size_t count = 0;; ++count) {
    Entry entry;
    if (const Outcome outcome = reader.next(entry); !outcome) {
      return outcome;
    }
    if (entry.name == kTrailer) {
      return check_trailing(reader);
    }
    if (count == abi::boot_config::kMaxArchiveEntries) {
      return fail("archive-too-many", "more than {} entries", abi::boot_config::kMaxArchiveEntries);
    }
    bool is_file = false;
    if (const Outcome outcome = check(entry, is_file); !outcome) {
      return outcome;
    }
    if (!is_file) {
      continue;
    }
    if (find(entry.name)) {
      return fail("archive-duplicate", "'{}' is in it twice", escaped(entry.name.substr(0, 64)));
    }
    static_cast<void>(files_.push_back({entry.name, entry.data}));  // the number of entries was checked
  }
}

Outcome Archive::open(std::span<const std::byte> bytes) {
  files_.clear();
  Outcome outcome = read(bytes);
  if (!outcome) {
    files_.clear();
  }
  return outcome;
}

}  // namespace guest::kernel
