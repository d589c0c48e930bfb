// A trace file may be anybody's: whatever it is, the excerpt is JSON, and so is the data object.
#include <cstdint>
#include <cstdlib>

#include "vmm/report/page.hpp"
#include "vmm/report/trace_excerpt.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Bytes as the text of a file.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto excerpt = vmm::report::trace_excerpt(text, {.events = 8, .bytes = 512, .event_bytes = 128});
  if (!excerpt) return 0;
  // What has come through once comes through again: it is JSON, and a trace.
  if (!vmm::report::trace_excerpt(*excerpt)) std::abort();
  const vmm::report::RunData run{.folder = "f", .summary = "{}", .scenario = std::string(text), .trace = *excerpt};
  const std::string json = vmm::report::data_json(std::span(&run, 1), false);
  const std::string page = vmm::report::page(json, false);
  const std::size_t begin = page.find("id=\"data\">");
  if (page.find('<', begin) != page.find("</script>", begin)) std::abort();
  return 0;
}
