#include "guest/arch/model/user_table.hpp"

namespace guest::arch {

std::uint64_t* UserTable::entries(std::uint64_t table_pa) const {
  // A table is an array of 64-bit descriptors that the table walker reads as well; pages are aligned.
  return static_cast<std::uint64_t*>(source_.pointer(table_pa));
}

std::uint64_t* UserTable::entry_of(std::uint64_t va) const {
  if (va >= kUserEnd || root_pa_ == 0) {
    return nullptr;
  }
  std::uint64_t* table = entries(root_pa_);
  for (unsigned level = 0; level < kLastLevel; ++level) {
    const std::uint64_t entry = table[level_index(va, level)];
    if (!descriptor::Valid::decode(entry)) {
      return nullptr;
    }
    table = entries(descriptor::address(entry));
  }
  return &table[level_index(va, kLastLevel)];
}

MapStatus UserTable::map(std::uint64_t va, std::uint64_t pa, Access access) {
  if ((va | pa) % kPageBytes != 0) {
    return MapStatus::Misaligned;
  }
  if (va >= kUserEnd || pa >= std::uint64_t{1} << kAddressBits) {
    return MapStatus::OutOfRange;
  }
  if (root_pa_ == 0) {
    root_pa_ = source_.allocate();
    if (root_pa_ == 0) {
      return MapStatus::OutOfTables;
    }
  }
  std::uint64_t* table = entries(root_pa_);
  for (unsigned level = 0; level < kLastLevel; ++level) {
    std::uint64_t& entry = table[level_index(va, level)];
    if (!descriptor::Valid::decode(entry)) {
      const std::uint64_t fresh = source_.allocate();
      if (fresh == 0) {
        return MapStatus::OutOfTables;
      }
      // The table walkers of CPUs that run the task must not see the entry before the zeros in the table. The page was
      // cleared with plain stores, so a release orders them; it pairs with the walk's address dependency.
      __atomic_store_n(&entry, descriptor::table(fresh), __ATOMIC_RELEASE);
    }
    table = entries(descriptor::address(entry));
  }
  std::uint64_t& entry = table[level_index(va, kLastLevel)];
  if (descriptor::Valid::decode(entry)) {
    return MapStatus::AlreadyMapped;
  }
  __atomic_store_n(&entry, descriptor::leaf(pa, user_memory(access), kLastLevel), __ATOMIC_RELEASE);
  return MapStatus::Ok;
}

std::uint64_t UserTable::unmap(std::uint64_t va) {
  std::uint64_t* const entry = va % kPageBytes == 0 ? entry_of(va) : nullptr;
  if (entry == nullptr || !descriptor::Valid::decode(*entry)) {
    return 0;
  }
  const std::uint64_t pa = descriptor::address(*entry);
  __atomic_store_n(entry, 0, __ATOMIC_RELAXED);  // one store: a walker sees the page or none
  return pa;
}

Translation UserTable::find(std::uint64_t va) const {
  const std::uint64_t* const entry = entry_of(va);
  if (entry == nullptr || !descriptor::Valid::decode(*entry)) {
    return {.valid = false, .pa = 0, .attributes = user_memory(Access::ReadOnly)};
  }
  return {
      .valid = true, .pa = descriptor::address(*entry) + va % kPageBytes, .attributes = descriptor::attributes(*entry)};
}

void UserTable::free_below(std::uint64_t table_pa, unsigned level) {
  const std::uint64_t* const table = entries(table_pa);
  for (std::uint64_t i = 0; i < kTableEntries; ++i) {
    if (!descriptor::Valid::decode(table[i])) {
      continue;
    }
    if (level < kLastLevel) {
      free_below(descriptor::address(table[i]), level + 1);  // at most four deep
    } else {
      source_.free(descriptor::address(table[i]));
    }
  }
  source_.free(table_pa);
}

void UserTable::clear() {
  if (root_pa_ != 0) {
    free_below(root_pa_, 0);
    root_pa_ = 0;
  }
}

}  // namespace guest::arch
