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
