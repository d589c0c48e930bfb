#include "observe_tree.hpp"

#include "abi/boot_config.hpp"

namespace vmm::scenario {

namespace names = abi::boot_config;

void write_observe(TreeWriter& tree, const Scenario& scenario) {
  if (scenario.observe) {
    tree.begin(names::kObserveNode);
    if (const auto& interval = scenario.observe->metrics) tree.ns(names::kMetricsNs, *interval);
    if (const auto& trace = scenario.observe->trace) {
      abi::trace::GroupMask groups = trace->what.empty() ? abi::trace::kAllGroups : 0;
      for (const abi::trace::Group group : trace->what) groups |= bit(group);
      tree.u32(names::kTraceEvents, trace->events);
      tree.u32(names::kTraceGroups, groups);
    }
    tree.end();
  }
  if (scenario.autorun.empty()) return;
  std::string lines;
  for (const std::string& line : scenario.autorun) lines += line + '\0';
  tree.begin(names::kAutorunNode);
  tree.bytes(names::kLines, std::as_bytes(std::span(lines)));
  tree.end();
}

}  // namespace vmm::scenario
