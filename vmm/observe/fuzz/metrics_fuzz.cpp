// A hostile guest's samples and histograms, one JSON value a line: whatever comes, what is kept is bounded and the file
// is whole.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "vmm/observe/metrics_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The same bytes; char may alias anything.
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  vmm::observe::MetricsFile file;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const auto value = nlohmann::json::parse(rest.substr(0, end), nullptr, false);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (value.is_discarded()) continue;
    file.history.take(value);
    static_cast<void>(file.take_metrics(value));
    static_cast<void>(file.take_histograms(value));
  }
  for (const auto& [name, series] : file.history.series()) {
    if (series.values.size() != file.history.times().size()) std::abort();
  }
  const auto read = nlohmann::json::parse(file.to_text(), nullptr, false);
  if (read.is_discarded() || read["histograms"].size() != file.histograms.size()) std::abort();
  return 0;
}
