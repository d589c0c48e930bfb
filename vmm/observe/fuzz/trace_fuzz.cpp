// A hostile guest's records, as they come: the first byte says of what size an event is, the last ones what it lost.
// Whatever comes, the file is whole and small enough.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "vmm/observe/trace_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  vmm::observe::TraceFile file;
  file.max_bytes = 20'000;
  const std::size_t piece = std::size_t{32} * (data[0] % 8 + 1);
  for (std::size_t at = 1; at < size; at += piece) {
    const std::size_t bytes = std::min(piece, size - at);
    nlohmann::json event = {
        {"records", nlohmann::json::binary(std::vector<std::uint8_t>(data + at, data + at + bytes))}};
    event["lost_by_cpu"] = {data[at], data[at] / 2};
    if (data[at] == 0xff) file.records.resume();
    static_cast<void>(file.records.take(event));
  }
  std::string text;
  if (!file.write([&](std::string_view part) {
        text += part;
        return true;
      })) {
    std::abort();
  }
  // The names of the tracks and the end come on top.
  if (text.size() > file.max_bytes + 200'000) std::abort();
  if (nlohmann::json::parse(text, nullptr, false).is_discarded()) std::abort();
  return 0;
}
