// The scenario tree's reader: any bytes.
#include <cstdint>
#include <cstdlib>

#include "aligned_copy.hpp"
#include "guest/kernel/boot_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace guest::kernel;
  const AlignedCopy copy(data, size);
  BootConfig config;
  const Outcome outcome = read_scenario_tree(copy.span(), config);
  const bool holds_something =
      config.control_key || !config.name.view().empty() || !config.servers.empty() || !config.tasks.empty();
  if (!outcome && (outcome.error().name.empty() || holds_something)) {
    std::abort();
  }
  return 0;
}
