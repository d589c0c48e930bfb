#include "guest/arch/build_info.hpp"

#include <cstddef>
#include <cstdint>

#include "guest/kernel/format.hpp"
#include "image.hpp"

namespace guest::arch {

std::string_view version() { return SIS_VERSION; }

void write_build_id(kernel::TextOutput& output) {
  // ELF note: name size, description size, type, name padded to 4 bytes, description.
  struct Note {
    std::uint32_t name_bytes;
    std::uint32_t description_bytes;
    std::uint32_t type;
    char name[4];
  };
  const std::size_t bytes = static_cast<std::size_t>(_build_id_end - _build_id);
  if (bytes < sizeof(Note)) {
    output.write("none");
    return;
  }
  Note note;
  __builtin_memcpy(&note, _build_id, sizeof(note));
  const std::size_t room = bytes - sizeof(Note);
  for (std::size_t i = 0; i < note.description_bytes && i < room; ++i) {
    kernel::format_to(output, "{:02x}", static_cast<std::uint8_t>(_build_id[sizeof(Note) + i]));
  }
}

}  // namespace guest::arch
