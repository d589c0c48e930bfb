#include "guest/arch/symbols.hpp"

#include "guest/arch/layout.hpp"
#include "guest/kernel/symbols.hpp"
#include "image.hpp"

// Made from the first link by symbols.py. Weak: the first link has none.
extern "C" {
[[gnu::weak]] extern const std::uint64_t sis_symbol_count;
[[gnu::weak]] extern const std::uint64_t sis_symbol_text_bytes;
[[gnu::weak]] extern const guest::kernel::SymbolEntry sis_symbol_entries[];
[[gnu::weak]] extern const char sis_symbol_text[];
}

namespace guest::arch {

kernel::SymbolTable kernel_symbols() {
  if (&sis_symbol_count == nullptr) {
    return {};
  }
  return {kImageBase,
          static_cast<std::uint64_t>(_text_end - _image_start),
          {sis_symbol_entries, sis_symbol_count},
          {sis_symbol_text, sis_symbol_text_bytes}};
}

}  // namespace guest::arch

// Until guest_kernel brings them.
namespace guest::kernel {
[[gnu::weak]] std::optional<SymbolTable::Match> SymbolTable::find(std::uint64_t address) const {
  const SymbolEntry* best = nullptr;
  for (const SymbolEntry& entry : entries_) {
    if (address - image_base_ < image_size_ && entry.offset <= address - image_base_) {
      best = &entry;
    }
  }
  if (best == nullptr) {
    return std::nullopt;
  }
  return Match{.name = names_.data() + best->name_offset, .offset = address - image_base_ - best->offset};
}
[[gnu::weak]] void write_symbol(TextOutput& output, std::string_view name) { output.write(name); }
}  // namespace guest::kernel
