// Also runs before the MMU is on: no absolute addresses in data, no calls to memset, no stack protector (CMakeLists.txt
// sets the flags).
#include "guest/arch/model/page_table.hpp"

namespace guest::arch {

std::uint64_t* TableSpace::pointer(std::uint64_t table_pa) const {
  // A table is an array of 64-bit descriptors that the table walker reads as well.
  return reinterpret_cast<std::uint64_t*>(table_pa + offset);  // NOLINT(performance-no-int-to-ptr)
}

std::uint64_t TableSpace::allocate() {
  if (next_pa >= end_pa) {
    return 0;
  }
  const std::uint64_t table_pa = next_pa;
  next_pa += kPageBytes;
  std::uint64_t* const entries = pointer(table_pa);
  for (std::uint64_t i = 0; i < kTableEntries; ++i) {
    entries[i] = 0;
  }
  return table_pa;
}

namespace {

/// The slot for `va` in `level`, making tables on the way. Null: `status` says why.
std::uint64_t* entry_for(std::uint64_t root_pa, TableSpace& space, std::uint64_t va, unsigned level,
                         MapStatus& status) {
  std::uint64_t* table = space.pointer(root_pa);
  for (unsigned at = 0; at < level; ++at) {
    std::uint64_t& entry = table[level_index(va, at)];
    if (!descriptor::Valid::decode(entry)) {
      const std::uint64_t fresh = space.allocate();
      if (fresh == 0) {
        status = MapStatus::OutOfTables;
        return nullptr;
      }
      entry = descriptor::table(fresh);
    } else if (!descriptor::is_table(entry, at)) {
      status = MapStatus::AlreadyMapped;
      return nullptr;
    }
    table = space.pointer(descriptor::address(entry));
  }
  return &table[level_index(va, level)];
}

/// The level whose block starts here and fits.
unsigned block_level(std::uint64_t va, std::uint64_t pa, std::uint64_t size) {
  unsigned level = 1;
  while (level < kLastLevel && (((va | pa) % level_bytes(level)) != 0 || size < level_bytes(level))) {
    ++level;
  }
  return level;
}

}  // namespace

MapStatus map_range(std::uint64_t root_pa, TableSpace& space, std::uint64_t va, std::uint64_t pa, std::uint64_t size,
                    Attributes attributes) {
  constexpr std::uint64_t kPaLimit = std::uint64_t{1} << kAddressBits;
  if ((va | pa | size) % kPageBytes != 0) {
    return MapStatus::Misaligned;
  }
  if (pa >= kPaLimit || size > kPaLimit - pa || (size != 0 && va + size - 1 < va)) {
    return MapStatus::OutOfRange;
  }
  while (size != 0) {
    const unsigned level = block_level(va, pa, size);
    const std::uint64_t step = level_bytes(level);
    MapStatus status = MapStatus::Ok;
    std::uint64_t* const first = entry_for(root_pa, space, va, level, status);
    if (first == nullptr) {
      return status;
    }
    // As many entries of this table as the range fills. A larger block can start only where the table ends.
    const std::uint64_t room = kTableEntries - level_index(va, level);
    const std::uint64_t wanted = size / step;
    const std::uint64_t count = wanted < room ? wanted : room;
    std::uint64_t leaf = descriptor::leaf(pa, attributes, level);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (descriptor::Valid::decode(first[i])) {
        return MapStatus::AlreadyMapped;
      }
      first[i] = leaf;
      leaf += step;  // the address field counts up, the attributes stay
    }
    va += count * step;
    pa += count * step;
    size -= count * step;
  }
  return MapStatus::Ok;
}

bool unmap_pages(std::uint64_t root_pa, const TableSpace& space, std::uint64_t va, std::uint64_t size) {
  for (std::uint64_t done = 0; done < size; done += kPageBytes) {
    std::uint64_t* table = space.pointer(root_pa);
    for (unsigned level = 0; level < kLastLevel; ++level) {
      const std::uint64_t entry = table[level_index(va + done, level)];
      if (!descriptor::is_table(entry, level)) {
        return false;
      }
      table = space.pointer(descriptor::address(entry));
    }
    std::uint64_t& page = table[level_index(va + done, kLastLevel)];
    if (!descriptor::Valid::decode(page)) {
      return false;
    }
    page = 0;
  }
  return true;
}

Translation translate(std::uint64_t root_pa, const TableSpace& space, std::uint64_t va) {
  const std::uint64_t* table = space.pointer(root_pa);
  for (unsigned level = 0; level <= kLastLevel; ++level) {
    const std::uint64_t entry = table[level_index(va, level)];
    if (!descriptor::Valid::decode(entry)) {
      break;
    }
    if (descriptor::is_table(entry, level)) {
      table = space.pointer(descriptor::address(entry));
      continue;
    }
    return {.valid = true,
            .pa = descriptor::address(entry) + va % level_bytes(level),
            .attributes = descriptor::attributes(entry)};
  }
  return {.valid = false, .pa = 0, .attributes = kReadOnly};
}

}  // namespace guest::arch
