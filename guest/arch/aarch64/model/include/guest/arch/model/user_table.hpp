// Translation tables of a user address space: single pages, four levels, made and given back as the space changes.
// Pure: tables and pages come from a PageSource.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/arch/model/page_table.hpp"

namespace guest::arch {

/// First address beyond any user memory. Half of what TTBR0 could translate, so that the sum of a user address and a
/// length of the same size cannot reach the kernel's half.
inline constexpr std::uint64_t kUserEnd = std::uint64_t{1} << 47;

/// Address space identifier: what tells the TLB entries of user address spaces apart. 8 bits, which every CPU has
/// (TCR_EL1.AS = 0). 0: of no address space, what runs between them.
enum class Asid : std::uint8_t {};
constexpr std::uint64_t raw(Asid asid) { return static_cast<std::uint64_t>(asid); }

/// Where the memory of one address space comes from, tables included.
class PageSource {
 public:
  /// A page of zeros, its physical address; 0: there is none, or the address space may have no more.
  virtual std::uint64_t allocate() = 0;
  /// Takes back what allocate() returned.
  virtual void free(std::uint64_t pa) = 0;
  /// Where the kernel reaches a page of this source.
  [[nodiscard]] virtual void* pointer(std::uint64_t pa) const = 0;

 protected:
  ~PageSource() = default;
};

/// What the CPUs are to be told of changes to address spaces. Each call returns when every CPU of the machine acts on
/// what was written before.
class TranslationMaintenance {
 public:
  /// Pages that were not mapped are now.
  virtual void publish() = 0;
  /// Memory that will be executed was written, through the kernel's own mapping; then, once for all of it,
  /// publish_code().
  virtual void write_back_code(std::span<const std::byte> written) = 0;
  virtual void publish_code() = 0;
  /// A page is not mapped any more.
  virtual void forget_page(Asid asid, std::uint64_t va) = 0;
  /// The whole address space is not in use any more.
  virtual void forget(Asid asid) = 0;

 protected:
  ~TranslationMaintenance() = default;
};

/// One caller at a time. The owner tells the CPUs of changes (TranslationMaintenance).
class UserTable {
 public:
  explicit constexpr UserTable(PageSource& source) : source_(source) {}
  UserTable(const UserTable&) = delete;
  UserTable& operator=(const UserTable&) = delete;

  /// Maps the page at `va` to the one at `pa`, which then belongs to the tables. OutOfRange: not below kUserEnd. On any
  /// error nothing is mapped and the page stays the caller's; tables made on the way stay until clear().
  MapStatus map(std::uint64_t va, std::uint64_t pa, Access access);
  /// Unmaps the page at `va` and returns its physical address, the caller's from now on; 0: none was mapped. It may be
  /// given to someone else only after the CPUs have forgotten it.
  std::uint64_t unmap(std::uint64_t va);
  [[nodiscard]] Translation find(std::uint64_t va) const;
  /// Gives back all pages and all tables. No CPU uses the tables any more, and all have forgotten them.
  void clear();

  /// For TTBR0_EL1; 0: nothing was ever mapped.
  [[nodiscard]] std::uint64_t root_pa() const { return root_pa_; }

 private:
  [[nodiscard]] std::uint64_t* entries(std::uint64_t table_pa) const;
  /// The level 3 entry of `va`; null: its table does not exist.
  [[nodiscard]] std::uint64_t* entry_of(std::uint64_t va) const;
  void free_below(std::uint64_t table_pa, unsigned level);

  PageSource& source_;
  std::uint64_t root_pa_ = 0;
};

}  // namespace guest::arch
