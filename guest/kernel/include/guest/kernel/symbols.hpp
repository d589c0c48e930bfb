// Names of functions for backtraces, from a table that the build puts into the image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::kernel {

/// One function. Sorted by `offset`, strictly ascending.
struct SymbolEntry {
  std::uint32_t offset;       ///< from the start of the image, bytes
  std::uint32_t name_offset;  ///< into the names, each ended by a NUL
};
static_assert(sizeof(SymbolEntry) == 8);

/// The table. Trusted (part of the image), yet bounded: it is read while the kernel panics.
class SymbolTable {
 public:
  constexpr SymbolTable() = default;
  /// `image_size` bytes from `image_base` on are covered.
  constexpr SymbolTable(std::uint64_t image_base, std::uint64_t image_size, std::span<const SymbolEntry> entries,
                        std::string_view names)
      : image_base_(image_base), image_size_(image_size), entries_(entries), names_(names) {}

  struct Match {
    std::string_view name;  ///< as linked (mangled)
    std::uint64_t offset;   ///< bytes from the function's start
  };
  /// The function that `address` lies in. Any context.
  [[nodiscard]] std::optional<Match> find(std::uint64_t address) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  std::uint64_t image_base_ = 0;
  std::uint64_t image_size_ = 0;
  std::span<const SymbolEntry> entries_;
  std::string_view names_;
};

/// Writes `name` as people read it: of "_ZN5guest6kernel4Heap4freeEPv" the path "guest::kernel::Heap::free". Names in a
/// form that this does not know are written as they are. Any context; no allocation.
void write_symbol(TextOutput& output, std::string_view name);

}  // namespace guest::kernel
