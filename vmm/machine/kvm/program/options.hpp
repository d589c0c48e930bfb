// The command line of sisvmm-kvm. Read by getopt_long(3): a larger library would take longer than the rest of a start.
#pragma once

#include <optional>
#include <string>

#include "vmm/base/result.hpp"
#include "vmm/machine/kvm/machine.hpp"

namespace vmm::kvm_program {

struct CommandLine {
  machine_kvm::Options machine;  ///< but for sandbox and counters, and what a snapshot says
  std::string snapshot;          ///< folder of the machine to go on with; empty: none
  std::optional<double> timeout_s;
  bool sandbox = true;
  bool supervised = false;
  bool legacy_clients = false;  ///< with supervised: there is a listener for them
  bool help = false;            ///< nothing else counts then
};

/// Errors (ExitCode::Usage) name the option, what was given and what is allowed.
Result<CommandLine> parse_command_line(int argc, char** argv);

/// For --help.
extern const char kUsage[];

}  // namespace vmm::kvm_program
