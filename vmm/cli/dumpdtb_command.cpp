#include <unistd.h>

#include <cstdio>

#include "commands.hpp"
#include "vmm/base/file.hpp"
#include "vmm/machine/board/device_tree.hpp"

namespace vmm::cli {
namespace {

Result<std::vector<std::byte>> make_tree(const DumpDtbOptions& options) {
  scenario::Scenario scenario;
  if (auto applied = apply(options.overrides, scenario); !applied) return std::unexpected(applied.error());
  board::DeviceTreeConfig tree;
  tree.ram = {board::kRamBase, scenario.machine.memory_bytes};
  tree.gic = scenario.machine.gic_version == 2 ? board::GicVersion::V2 : board::GicVersion::V3;
  // As KVM numbers the first sixteen.
  for (unsigned cpu = 0; cpu < scenario.machine.cpus; ++cpu) tree.cpu_affinities.push_back(cpu);
  tree.pmu = options.pmu;
  tree.virtio_slots = {0};
  tree.boot_arguments = options.arguments;
  return board::write_device_tree(tree);
}

}  // namespace

int dumpdtb(const DumpDtbOptions& options) {
  const auto tree = make_tree(options);
  if (!tree) return report(tree.error());
  if (!options.output.empty()) {
    const auto written = write_file(options.output, *tree);
    return written ? 0 : report(written.error());
  }
  if (::isatty(STDOUT_FILENO) == 1) {
    return report({.message = "the tree is binary: name a file with -o, or pipe it into `dtc -I dtb -O dts`",
                   .exit_code = abi::ExitCode::Usage});
  }
  if (std::fwrite(tree->data(), 1, tree->size(), stdout) != tree->size()) {
    return report({.message = "cannot write to the standard output"});
  }
  return 0;
}

}  // namespace vmm::cli
