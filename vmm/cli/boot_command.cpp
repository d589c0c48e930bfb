#include <unistd.h>

#include "commands.hpp"
#include "native_kvm.hpp"

namespace vmm::cli {
namespace {

/// For the program that runs the machine (vmm/machine/kvm/program/options.hpp).
Result<std::vector<std::string>> arguments_for(const BootOptions& options) {
  scenario::Scenario scenario;
  if (auto applied = apply(options.overrides, scenario); !applied) return std::unexpected(std::move(applied.error()));
  const scenario::Machine& machine = scenario.machine;
  std::vector<std::string> words{"--format",      options.format,
                                 "--cpus",        std::to_string(machine.cpus),
                                 "--memory",      std::to_string(machine.memory_bytes) + "B",
                                 "--gic-version", std::to_string(machine.gic_version),
                                 "--huge-pages",  machine.huge_pages ? "true" : "false"};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {option, value});
  };
  add("--initrd", options.initrd);
  add("--append", options.arguments);
  add("--vsock", options.vsock);
  if (options.timeout_s) add("--timeout", std::to_string(*options.timeout_s));
  if (!options.sandbox) words.emplace_back("--no-sandbox");
  words.insert(words.end(), {"--", options.kernel});
  return words;
}

}  // namespace

int boot(const BootOptions& options) {
  const auto arguments = arguments_for(options);
  return report(arguments ? become_native_kvm(*arguments) : arguments.error());
}

}  // namespace vmm::cli
