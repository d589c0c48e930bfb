// Programs: ELF64 executables for AArch64, checked whole before anything is loaded. A file may be hostile.
//
// System V ABI, "Object Files" and "Program Loading"; ELF for the Arm 64-bit Architecture (AArch64), "Program Loading".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/arch/model/page_table.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::process {

/// Memory that a program wants. Refers to the file's bytes.
struct ElfSegment {
  std::uint64_t address;            ///< of its first byte
  std::uint64_t bytes;              ///< in memory, at least one; what the file does not hold is zero
  std::span<const std::byte> file;  ///< at most `bytes`
  arch::Access access;

  [[nodiscard]] std::uint64_t end() const { return address + bytes; }
  /// First address of its first page, and of the page behind its last.
  [[nodiscard]] std::uint64_t first_page() const { return address / arch::kPageBytes * arch::kPageBytes; }
  [[nodiscard]] std::uint64_t end_page() const {
    return (end() + arch::kPageBytes - 1) / arch::kPageBytes * arch::kPageBytes;
  }
};

/// Where programs may lie, and how much they may take.
struct ElfBounds {
  std::uint64_t begin;      ///< first address
  std::uint64_t end;        ///< one past the last, below 2^63
  std::uint64_t max_bytes;  ///< of memory, in whole pages, all segments together
};

struct ElfImage {
  static constexpr std::size_t kMaxSegments = 8;

  /// Ascending; no two have a page in common. At least one.
  kernel::BoundedArray<ElfSegment, kMaxSegments> segments;
  std::uint64_t entry = 0;  ///< in an executable segment, a multiple of 4
};

/// Reads `file`, which must outlive `out` and stay unchanged. Only fixed addresses (ET_EXEC) without a dynamic linker.
/// `out` is overwritten; on an error it holds nothing. Errors:
///   elf-truncated      a header, the program header table or a segment's bytes do not end within the file
///   elf-bad-magic      it does not start with 7f 45 4c 46
///   elf-bad-machine    not 64 bits, little-endian, AArch64
///   elf-bad-type       not ET_EXEC
///   elf-bad-header     another version, or other sizes of headers, than System V ABI has
///   elf-dynamic        it needs a dynamic linker (PT_INTERP, PT_DYNAMIC)
///   elf-too-many       more program headers or segments than are read
///   elf-bad-segment    more bytes in the file than in memory, or an alignment that it does not have
///   elf-bad-access     no access, or writable and executable; also of the stack (PT_GNU_STACK)
///   elf-out-of-range   a segment outside of [begin, end)
///   elf-overlap        segments that are not in ascending order, each in pages of its own
///   elf-too-large      more than max_bytes
///   elf-bad-entry      no segment, or an entry that is not an instruction's address in an executable one
kernel::Outcome read_elf(std::span<const std::byte> file, const ElfBounds& bounds, ElfImage& out);

}  // namespace guest::process
