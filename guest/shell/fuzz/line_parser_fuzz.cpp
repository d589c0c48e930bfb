// Any line: words lie in the scratch memory, are no longer than the line, and no command is empty.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "guest/shell/line_parser.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);  // bytes as text
  const std::unique_ptr<char[]> scratch(new char[size]);                   // exact size: ASan sees one byte more
  const auto parsed = guest::shell::parse_line(line, {scratch.get(), size});
  if (!parsed) {
    if (parsed.error().what.empty() || parsed.error().offset > size) {
      std::abort();
    }
    return 0;
  }
  std::size_t total = 0;
  for (std::size_t i = 0; i < parsed->size(); ++i) {
    if (parsed->command(i).empty()) {
      std::abort();
    }
    for (const std::string_view word : parsed->command(i)) {
      total += word.size();
    }
  }
  if (total > size) {
    std::abort();
  }
  return 0;
}
