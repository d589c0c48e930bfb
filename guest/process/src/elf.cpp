#include "guest/process/elf.hpp"

#include <bit>
#include <cstring>
#include <type_traits>

#include "abi/endian.hpp"

namespace guest::process {
namespace {

using abi::Le16;
using abi::Le32;
using abi::Le64;
using arch::Access;
using kernel::fail;
using kernel::Outcome;
using Bytes = std::span<const std::byte>;

// System V ABI, "ELF Header" and "Program Header", names and values as there.
struct Elf64Ehdr {
  std::uint8_t e_ident[16];
  Le16 e_type;
  Le16 e_machine;
  Le32 e_version;
  Le64 e_entry;
  Le64 e_phoff;
  Le64 e_shoff;
  Le32 e_flags;
  Le16 e_ehsize;
  Le16 e_phentsize;
  Le16 e_phnum;
  Le16 e_shentsize;
  Le16 e_shnum;
  Le16 e_shstrndx;
};
static_assert(sizeof(Elf64Ehdr) == 64 && offsetof(Elf64Ehdr, e_entry) == 24 && offsetof(Elf64Ehdr, e_phnum) == 56);
static_assert(std::is_standard_layout_v<Elf64Ehdr> && std::is_trivially_copyable_v<Elf64Ehdr>);

struct Elf64Phdr {
  Le32 p_type;
  Le32 p_flags;
  Le64 p_offset;
  Le64 p_vaddr;
  Le64 p_paddr;
  Le64 p_filesz;
  Le64 p_memsz;
  Le64 p_align;
};
static_assert(sizeof(Elf64Phdr) == 56 && offsetof(Elf64Phdr, p_vaddr) == 16 && offsetof(Elf64Phdr, p_align) == 48);
static_assert(std::is_standard_layout_v<Elf64Phdr> && std::is_trivially_copyable_v<Elf64Phdr>);

constexpr std::uint8_t kMagic[] = {0x7f, 'E', 'L', 'F'};
enum : std::uint8_t { EI_CLASS = 4, EI_DATA = 5, EI_VERSION = 6 };
enum : std::uint8_t { ELFCLASS64 = 2, ELFDATA2LSB = 1, EV_CURRENT = 1 };
enum : std::uint16_t { ET_EXEC = 2, ET_DYN = 3, EM_AARCH64 = 183 };
enum : std::uint32_t { PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3, PT_GNU_STACK = 0x6474e551 };
enum : std::uint32_t { PF_X = 1, PF_W = 2, PF_R = 4 };

/// A linker makes some ten.
constexpr std::uint16_t kMaxProgramHeaders = 32;

/// [offset, offset + size) of `file`; false: it does not lie within.
bool part(Bytes file, std::uint64_t offset, std::uint64_t size, Bytes& out) {
  if (offset > file.size() || size > file.size() - offset) {
    return false;
  }
  out = file.subspan(offset, size);
  return true;
}

/// A header of the file: copied, since a file has no alignment, and read from the copy only.
template <typename T>
bool read(Bytes file, std::uint64_t offset, T& out) {
  Bytes bytes;
  if (!part(file, offset, sizeof(T), bytes)) {
    return false;
  }
  std::memcpy(&out, bytes.data(), sizeof(T));
  return true;
}

Outcome check_header(const Elf64Ehdr& header) {
  const std::uint8_t* const ident = header.e_ident;
  if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_AARCH64) {
    return fail("elf-bad-machine",
                "class {}, byte order {}, machine {}; expected {}, {}, {}: 64 bits, little-endian, AArch64",
                ident[EI_CLASS], ident[EI_DATA], header.e_machine.value(), std::uint8_t{ELFCLASS64},
                std::uint8_t{ELFDATA2LSB}, std::uint16_t{EM_AARCH64});
  }
  if (header.e_type != ET_EXEC) {
    return fail("elf-bad-type", "type {}, expected {} (ET_EXEC){}", header.e_type.value(), std::uint16_t{ET_EXEC},
                header.e_type == ET_DYN ? ": link with -static -no-pie" : "");
  }
  if (ident[EI_VERSION] != EV_CURRENT || header.e_version != EV_CURRENT || header.e_ehsize != sizeof(Elf64Ehdr) ||
      header.e_phentsize != sizeof(Elf64Phdr)) {
    return fail("elf-bad-header", "versions {} and {}, headers of {} and {} bytes; expected 1 and 1, {} and {}",
                ident[EI_VERSION], header.e_version.value(), header.e_ehsize.value(), header.e_phentsize.value(),
                sizeof(Elf64Ehdr), sizeof(Elf64Phdr));
  }
  if (header.e_phnum > kMaxProgramHeaders) {
    return fail("elf-too-many", "{} program headers, at most {} are read", header.e_phnum.value(), kMaxProgramHeaders);
  }
  return {};
}

/// False: no access at all, or writable and executable.
bool access_of(std::uint32_t flags, Access& out) {
  switch (flags & (PF_R | PF_W | PF_X)) {
    case PF_R:
      out = Access::ReadOnly;
      return true;
    case PF_W:
    case PF_R | PF_W:
      out = Access::ReadWrite;
      return true;
    case PF_X:
    case PF_R | PF_X:
      out = Access::ReadExecute;
      return true;
    default:
      return false;
  }
}

class Reader {
 public:
  Reader(Bytes file, const ElfBounds& bounds, ElfImage& out) : file_(file), bounds_(bounds), out_(out) {}

  Outcome run() {
    // The magic first: a file that is too short for a header is hardly an ELF file.
    if (file_.size() < sizeof(kMagic) || std::memcmp(file_.data(), kMagic, sizeof(kMagic)) != 0) {
      return fail("elf-bad-magic", "{} bytes that do not start with 7f 45 4c 46: not an ELF file", file_.size());
    }
    Elf64Ehdr header;
    if (!read(file_, 0, header)) {
      return fail("elf-truncated", "{} bytes, a header has {}", file_.size(), sizeof(header));
    }
    if (Outcome outcome = check_header(header); !outcome) {
      return outcome;
    }
    Bytes table;
    if (!part(file_, header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64Phdr), table)) {
      return fail("elf-truncated", "{} program headers at {:#x} do not end within {} bytes", header.e_phnum.value(),
                  header.e_phoff.value(), file_.size());
    }
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      Elf64Phdr program;
      static_cast<void>(read(table, i * sizeof(program), program));  // the table holds them all
      if (Outcome outcome = take(i, program); !outcome) {
        return outcome;
      }
    }
    return check_entry(header.e_entry);
  }

 private:
  Outcome take(unsigned index, const Elf64Phdr& program) {
    switch (program.p_type) {
      case PT_LOAD:
        // One of no bytes asks for nothing.
        return program.p_memsz == 0 && program.p_filesz == 0 ? Outcome{} : add_segment(index, program);
      case PT_INTERP:
      case PT_DYNAMIC:
        return fail("elf-dynamic", "program header {} asks for a dynamic linker: link with -static -no-pie", index);
      case PT_GNU_STACK:
        if ((program.p_flags & PF_X) != 0) {
          return fail("elf-bad-access", "program header {} asks for an executable stack: link with -z noexecstack",
                      index);
        }
        return {};
      default:
        return {};  // for debuggers and for the program itself
    }
  }

  Outcome add_segment(unsigned index, const Elf64Phdr& program) {
    const std::uint64_t address = program.p_vaddr;
    const std::uint64_t bytes = program.p_memsz;
    ElfSegment segment{.address = address, .bytes = bytes, .file = {}, .access = Access::ReadOnly};
    if (!part(file_, program.p_offset, program.p_filesz, segment.file)) {
      return fail("elf-truncated", "segment {}: {:#x} bytes at {:#x} do not end within {} bytes", index,
                  program.p_filesz.value(), program.p_offset.value(), file_.size());
    }
    const std::uint64_t alignment = program.p_align;
    if (program.p_filesz > bytes ||
        (alignment > 1 && (!std::has_single_bit(alignment) || (address - program.p_offset) % alignment != 0))) {
      return fail("elf-bad-segment",
                  "segment {}: {:#x} bytes in the file, {:#x} in memory; offset {:#x}, address {:#x}, alignment {:#x}",
                  index, program.p_filesz.value(), bytes, program.p_offset.value(), address, alignment);
    }
    if (!access_of(program.p_flags, segment.access)) {
      return fail("elf-bad-access", "segment {} has flags {:#x} (1 execute, 2 write, 4 read): {}", index,
                  program.p_flags.value(), (program.p_flags & PF_W) != 0 ? "writable and executable" : "no access");
    }
    if (address < bounds_.begin || address >= bounds_.end || bytes > bounds_.end - address) {
      return fail("elf-out-of-range", "segment {}: {:#x} bytes at {:#x} are not within {:#x} to {:#x}", index, bytes,
                  address, bounds_.begin, bounds_.end);
    }
    return append(index, segment);
  }

  /// `segment` lies within the bounds, so its sums do not wrap.
  Outcome append(unsigned index, const ElfSegment& segment) {
    const std::size_t count = out_.segments.size();
    if (count != 0 && segment.first_page() < out_.segments[count - 1].end_page()) {
      return fail("elf-overlap", "segment {} starts at {:#x}, not in a page behind the one before, which ends at {:#x}",
                  index, segment.address, out_.segments[count - 1].end());
    }
    total_bytes_ += segment.end_page() - segment.first_page();
    if (total_bytes_ > bounds_.max_bytes) {
      return fail("elf-too-large", "with segment {} it takes {} bytes of memory, at most {} are allowed", index,
                  total_bytes_, bounds_.max_bytes);
    }
    if (!out_.segments.push_back(segment)) {
      return fail("elf-too-many", "more than {} segments", ElfImage::kMaxSegments);
    }
    return {};
  }

  Outcome check_entry(std::uint64_t entry) {
    for (const ElfSegment& segment : out_.segments) {
      if (segment.access == Access::ReadExecute && entry % 4 == 0 && entry >= segment.address &&
          entry - segment.address < segment.bytes) {
        out_.entry = entry;
        return {};
      }
    }
    return fail("elf-bad-entry",
                "entry at {:#x}: not an instruction's address in any of its executable segments ({} segments in all)",
                entry, out_.segments.size());
  }

  Bytes file_;
  const ElfBounds& bounds_;
  ElfImage& out_;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace

kernel::Outcome read_elf(std::span<const std::byte> file, const ElfBounds& bounds, ElfImage& out) {
  out = {};
  Outcome outcome = Reader(file, bounds, out).run();
  if (!outcome) {
    out = {};
  }
  return outcome;
}

}  // namespace guest::process
