#include "elf_image.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "abi/endian.hpp"
#include "kernel_error.hpp"

namespace vmm::board {
namespace {

using abi::Le16;
using abi::Le32;
using abi::Le64;

struct ElfHeader {
  std::uint8_t ident[16];
  Le16 type;
  Le16 machine;
  Le32 version;
  Le64 entry;
  Le64 program_headers_offset;
  Le64 section_headers_offset;
  Le32 flags;
  Le16 header_bytes;
  Le16 program_header_bytes;
  Le16 program_header_count;
  Le16 section_header_bytes;
  Le16 section_header_count;
  Le16 section_names;
};
static_assert(sizeof(ElfHeader) == 64 && offsetof(ElfHeader, program_headers_offset) == 32 &&
              offsetof(ElfHeader, program_header_count) == 56);

struct ProgramHeader {
  Le32 type;
  Le32 flags;
  Le64 offset;
  Le64 virtual_address;
  Le64 physical_address;
  Le64 file_bytes;
  Le64 memory_bytes;
  Le64 alignment;
};
static_assert(sizeof(ProgramHeader) == 56 && offsetof(ProgramHeader, physical_address) == 24);

constexpr std::array<std::uint8_t, 4> kMagic{0x7f, 'E', 'L', 'F'};
constexpr std::uint8_t kClass64 = 2;
constexpr std::uint8_t kLittleEndian = 1;
constexpr std::uint16_t kExecutable = 2;
constexpr std::uint16_t kSharedObject = 3;
constexpr std::uint16_t kAArch64 = 183;
constexpr std::uint32_t kLoad = 1;
/// Far more than any kernel has, and few enough to compare each with each.
constexpr std::uint16_t kMaxProgramHeaders = 64;

class ElfReader {
 public:
  ElfReader(const ImageSource& source, AddressRange ram) : source_(source), ram_(ram) {}

  Result<KernelImage> run() {
    if (auto done = read_header(); !done) return std::unexpected(done.error());
    if (auto done = read_segments(); !done) return std::unexpected(done.error());
    if (auto done = place(); !done) return std::unexpected(done.error());
    return std::move(kernel_);
  }

 private:
  [[nodiscard]] std::unexpected<Error> bad(const std::string& why) const {
    return bad_kernel(source_, "ELF header: " + why);
  }
  [[nodiscard]] Result<> expect(const char* field, std::uint64_t value, std::uint64_t wanted,
                                const char* meaning) const {
    if (value == wanted) return {};
    return bad(std::string(field) + " is " + std::to_string(value) + ", expected " + std::to_string(wanted) + " (" +
               meaning + ")");
  }

  Result<> read_header() {
    if (source_.size_bytes() < sizeof header_) {
      return bad("the file has " + std::to_string(source_.size_bytes()) + " bytes, the header alone has 64");
    }
    std::array<std::byte, sizeof header_> bytes{};
    if (auto read = source_.read(0, bytes); !read) return read;
    std::memcpy(&header_, bytes.data(), sizeof header_);
    if (!is_elf(bytes))
      return bad(
          "magic is not \"\\x7f"
          "ELF\"");
    if (auto ok = expect("EI_CLASS", header_.ident[4], kClass64, "64-bit"); !ok) return ok;
    if (auto ok = expect("EI_DATA", header_.ident[5], kLittleEndian, "little-endian"); !ok) return ok;
    if (auto ok = expect("e_machine", header_.machine, kAArch64, "AArch64"); !ok) return ok;
    if (header_.type != kExecutable && header_.type != kSharedObject) {
      return bad("e_type is " + std::to_string(header_.type) + ", expected 2 or 3 (an executable)");
    }
    if (auto ok = expect("e_phentsize", header_.program_header_bytes, sizeof(ProgramHeader), "ELF64"); !ok) return ok;
    const std::uint16_t count = header_.program_header_count;
    if (count == 0 || count > kMaxProgramHeaders) {
      return bad("e_phnum is " + std::to_string(count) + ", allowed: 1 to " + std::to_string(kMaxProgramHeaders));
    }
    return {};
  }

  Result<> read_segments() {
    std::array<std::byte, kMaxProgramHeaders * sizeof(ProgramHeader)> table;
    const std::size_t table_bytes = header_.program_header_count * sizeof(ProgramHeader);
    const std::uint64_t offset = header_.program_headers_offset;
    if (table_bytes > source_.size_bytes() || offset > source_.size_bytes() - table_bytes) {
      return bad("e_phoff is " + hex(offset) + ": " + std::to_string(header_.program_header_count) +
                 " program headers do not lie in the file");
    }
    if (auto read = source_.read(offset, std::span(table).first(table_bytes)); !read) return read;
    for (std::size_t i = 0; i < header_.program_header_count; ++i) {
      ProgramHeader segment;
      std::memcpy(&segment, table.data() + i * sizeof segment, sizeof segment);
      if (segment.type != kLoad || segment.memory_bytes == 0) continue;
      if (auto added = add(segment, "program header " + std::to_string(i) + ": "); !added) return added;
    }
    if (kernel_.segments.empty()) return bad("there is no segment to load");
    if (!entry_) return bad("e_entry is " + hex(header_.entry) + ", which lies in no segment");
    return {};
  }

  Result<> add(const ProgramHeader& segment, const std::string& which) {
    const std::uint64_t base = segment.physical_address;
    const std::uint64_t size = segment.memory_bytes;
    if (segment.file_bytes > size) {
      return bad(which + "p_filesz " + hex(segment.file_bytes) + " is more than p_memsz " + hex(size));
    }
    if (segment.file_bytes > source_.size_bytes() || segment.offset > source_.size_bytes() - segment.file_bytes) {
      return bad(which + "p_offset " + hex(segment.offset) + " and p_filesz " + hex(segment.file_bytes) +
                 " do not lie in the file of " + hex(source_.size_bytes()) + " bytes");
    }
    if (size - 1 > UINT64_MAX - base || base + (size - 1) >= UINT64_MAX / 2) {
      return bad(which + "p_paddr " + hex(base) + " and p_memsz " + hex(size) + " reach beyond any machine's memory");
    }
    const AddressRange memory{Gpa(base), size};
    for (const KernelSegment& other : kernel_.segments) {
      if (other.memory.overlaps(memory)) return bad(which + "overlaps another one at " + hex(base));
    }
    kernel_.segments.push_back({.file_offset = segment.offset, .file_bytes = segment.file_bytes, .memory = memory});
    // The entry point is a virtual address, and the MMU is off.
    const std::uint64_t into = header_.entry - segment.virtual_address;  // wraps if it lies before the segment
    if (header_.entry >= segment.virtual_address && into < size) entry_ = base + into;
    return {};
  }

  Result<> place() {
    std::uint64_t first = UINT64_MAX;
    std::uint64_t end = 0;
    for (const KernelSegment& segment : kernel_.segments) {
      first = std::min(first, segment.memory.base.value());
      end = std::max(end, segment.memory.end().value());
    }
    const std::uint64_t bias = end <= ram_.base.value() ? ram_.base.value() : 0;
    const AddressRange occupied{Gpa(first + bias), end - first};
    if (!ram_.contains(occupied)) return does_not_fit(source_, occupied, ram_);
    for (KernelSegment& segment : kernel_.segments) {
      segment.memory.base = Gpa(segment.memory.base.value() + bias);
    }
    kernel_.format = KernelFormat::Elf;
    kernel_.occupied = occupied;
    kernel_.entry = Gpa(*entry_ + bias);
    return {};
  }

  const ImageSource& source_;
  const AddressRange ram_;
  ElfHeader header_;
  KernelImage kernel_;
  std::optional<std::uint64_t> entry_;
};

}  // namespace

bool is_elf(std::span<const std::byte> head) {
  return head.size() >= kMagic.size() && std::memcmp(head.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<KernelImage> inspect_elf(const ImageSource& source, AddressRange ram) { return ElfReader(source, ram).run(); }

}  // namespace vmm::board
