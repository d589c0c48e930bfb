// Translation tables of the kernel: 4 KiB granule, 48-bit addresses, four levels. Pure: tables are reached through a
// TableSpace, so that this runs before the MMU is on, after it, and on the host in tests.
//
//   level   0          1          2          3
//   bits    47..39     38..30     29..21     20..12
//   entry   table      table or   table or   page
//                      1 GiB      2 MiB
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/arch/model/field.hpp"

namespace guest::arch {

inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kTableEntries = 512;
inline constexpr unsigned kPageShift = 12;
inline constexpr unsigned kBitsPerLevel = 9;
inline constexpr unsigned kLastLevel = 3;
inline constexpr unsigned kAddressBits = 48;
static_assert(std::uint64_t{1} << kPageShift == kPageBytes && kTableEntries * sizeof(std::uint64_t) == kPageBytes);
static_assert(kPageShift + (kLastLevel + 1) * kBitsPerLevel == kAddressBits);

/// Bytes that one entry of `level` covers.
constexpr std::uint64_t level_bytes(unsigned level) {
  return std::uint64_t{1} << (kPageShift + kBitsPerLevel * (kLastLevel - level));
}
constexpr std::uint64_t level_index(std::uint64_t va, unsigned level) {
  return (va >> (kPageShift + kBitsPerLevel * (kLastLevel - level))) % kTableEntries;
}

/// Indices into MAIR_EL1 (registers.hpp holds the attributes).
enum class MemoryType : std::uint8_t {
  Normal = 0,        ///< write-back, inner shareable
  Device = 1,        ///< nGnRE
  NonCacheable = 2,  ///< normal memory, not cached
};

enum class Access : std::uint8_t { ReadOnly, ReadWrite, ReadExecute };

/// Whose memory it is. A user's is never executed by the kernel and belongs to one address space (nG: its TLB entries
/// carry the ASID); the kernel reaches it with unprivileged accesses only (PAN).
enum class Owner : std::uint8_t { Kernel, User };

struct Attributes {
  MemoryType type;
  Access access;
  Owner owner = Owner::Kernel;
  friend bool operator==(const Attributes&, const Attributes&) = default;
};
inline constexpr Attributes kText{MemoryType::Normal, Access::ReadExecute};
inline constexpr Attributes kReadOnly{MemoryType::Normal, Access::ReadOnly};
inline constexpr Attributes kReadWrite{MemoryType::Normal, Access::ReadWrite};
inline constexpr Attributes kDevice{MemoryType::Device, Access::ReadWrite};
constexpr Attributes user_memory(Access access) { return {MemoryType::Normal, access, Owner::User}; }

/// Arm DDI 0487, "VMSAv8-64 translation table format descriptors".
namespace descriptor {
enum class Ap : std::uint8_t { KernelReadWrite = 0b00, ReadWrite = 0b01, KernelReadOnly = 0b10, ReadOnly = 0b11 };
enum class Sh : std::uint8_t { NonShareable = 0b00, Outer = 0b10, Inner = 0b11 };
using Valid = Bit<0>;
using TableOrPage = Bit<1>;  // levels 0 to 2: table, else block; level 3: must be 1
using AttrIndx = Field<4, 2, MemoryType>;
using ApBits = Field<7, 6, Ap>;
using ShBits = Field<9, 8, Sh>;
using Af = Bit<10>;
using Ng = Bit<11>;             // not global: TLB entries match their ASID only
using Address = Field<47, 12>;  // in pages
using Pxn = Bit<53>;
using Uxn = Bit<54>;

constexpr std::uint64_t table(std::uint64_t table_pa) {
  return Address::encode(table_pa / kPageBytes) | TableOrPage::encode(true) | Valid::encode(true);
}
constexpr std::uint64_t leaf(std::uint64_t pa, Attributes attributes, unsigned level) {
  const bool user = attributes.owner == Owner::User;
  const bool writable = attributes.access == Access::ReadWrite;
  const bool executable = attributes.access == Access::ReadExecute;
  const Ap of_user = writable ? Ap::ReadWrite : Ap::ReadOnly;
  const Ap of_kernel = writable ? Ap::KernelReadWrite : Ap::KernelReadOnly;
  return Address::encode(pa / kPageBytes) | Valid::encode(true) | TableOrPage::encode(level == kLastLevel) |
         AttrIndx::encode(attributes.type) | Af::encode(true) | Ng::encode(user) | Uxn::encode(!user || !executable) |
         Pxn::encode(user || !executable) | ApBits::encode(user ? of_user : of_kernel) |
         ShBits::encode(attributes.type == MemoryType::Device ? Sh::NonShareable : Sh::Inner);
}
/// What a leaf that leaf() made says.
constexpr Attributes attributes(std::uint64_t entry) {
  const Ap ap = ApBits::decode(entry);
  const bool user = ap == Ap::ReadWrite || ap == Ap::ReadOnly;
  const bool writable = ap == Ap::ReadWrite || ap == Ap::KernelReadWrite;
  const bool executable = user ? !Uxn::decode(entry) : !Pxn::decode(entry);
  return {.type = AttrIndx::decode(entry),
          .access = writable     ? Access::ReadWrite
                    : executable ? Access::ReadExecute
                                 : Access::ReadOnly,
          .owner = user ? Owner::User : Owner::Kernel};
}
constexpr bool is_table(std::uint64_t entry, unsigned level) {
  return level < kLastLevel && Valid::decode(entry) && TableOrPage::decode(entry);
}
constexpr std::uint64_t address(std::uint64_t entry) { return Address::decode(entry) * kPageBytes; }

static_assert(leaf(0x4000'0000, kReadWrite, 3) == 0x0060'0000'4000'0703);
static_assert(leaf(0x4000'0000, kText, 3) == 0x0040'0000'4000'0783);
static_assert(leaf(0x4000'0000, kReadOnly, 1) == 0x0060'0000'4000'0781);
static_assert(leaf(0x0900'0000, kDevice, 3) == 0x0060'0000'0900'0407);
static_assert(leaf(0x4000'0000, user_memory(Access::ReadWrite), 3) == 0x0060'0000'4000'0f43);
static_assert(leaf(0x4000'0000, user_memory(Access::ReadExecute), 3) == 0x0020'0000'4000'0fc3);
static_assert(leaf(0x4000'0000, user_memory(Access::ReadOnly), 3) == 0x0060'0000'4000'0fc3);
static_assert(table(0x4020'3000) == 0x4020'3003);
}  // namespace descriptor

/// Where tables come from and how a table's physical address becomes a pointer.
struct TableSpace {
  std::uint64_t next_pa;  ///< first unused page
  std::uint64_t end_pa;
  std::uint64_t offset;  ///< pointer = physical address + offset (modulo 2^64)

  /// A zeroed table; 0: none is left.
  std::uint64_t allocate();
  [[nodiscard]] std::uint64_t* pointer(std::uint64_t table_pa) const;
};

enum class [[nodiscard]] MapStatus : std::uint8_t {
  Ok,
  Misaligned,     ///< an address or the size is not a multiple of the page size
  OutOfRange,     ///< the range wraps or the physical address has more than 48 bits
  OutOfTables,    ///< what was mapped before that stays
  AlreadyMapped,  ///< a page of the range is mapped; what was mapped before it stays
};

/// Maps [va, va + size) to [pa, pa + size) in the tables at `root_pa`, with the largest blocks that fit. Only entries
/// that were invalid are written, so no TLB maintenance is needed; the caller orders the writes before the first use
/// (dsb ishst, isb).
MapStatus map_range(std::uint64_t root_pa, TableSpace& space, std::uint64_t va, std::uint64_t pa, std::uint64_t size,
                    Attributes attributes);

/// Takes back what map_range() mapped in pages, [va, va + size) exactly. Tables stay. The caller sees to it that no CPU
/// remembers the translations (tlbi). False: a page of the range is not mapped, or part of a block; the pages before it
/// are unmapped.
bool unmap_pages(std::uint64_t root_pa, const TableSpace& space, std::uint64_t va, std::uint64_t size);

struct Translation {
  bool valid;
  std::uint64_t pa;
  Attributes attributes;
};
/// What the tables at `root_pa` say of `va`. For tests and reports.
Translation translate(std::uint64_t root_pa, const TableSpace& space, std::uint64_t va);

}  // namespace guest::arch
