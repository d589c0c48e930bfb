// The loader on arbitrary bytes: no crash, no unbounded time; what it accepts is written and read back unchanged.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "vmm/scenario/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // char aliases anything
  auto scenario = vmm::scenario::load_text(text, "fuzz.yaml");
  if (!scenario) {
    if (scenario.error().message.empty()) std::abort();
    return 0;
  }
  const std::string yaml = vmm::scenario::to_yaml(*scenario);
  const auto again = vmm::scenario::load_text(yaml, "fuzz.yaml");
  if (!again || vmm::scenario::to_yaml(*again) != yaml) std::abort();
  return 0;
}
