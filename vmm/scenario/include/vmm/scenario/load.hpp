// Reading scenario files (docs/scenario.md).
#pragma once

#include <string>
#include <string_view>

#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Reads and validates a scenario file, whole, before anything is started.
/// Errors carry ExitCode::Usage and every problem found (at most 50, then their number), one a line:
/// "hello.yaml:7:3: machine.cpus: found 99, allowed: an integer from 1 to 8".
Result<Scenario> load_file(const std::string& path);

/// The same for text that is already in memory; `file_name` is used in messages, for the default name, and relative
/// paths in the scenario start from its folder.
Result<Scenario> load_text(std::string_view yaml, const std::string& file_name);

/// Sets one option of the machine from text, as the command line does: set_option(s, "machine.cpus", "4", "--cpus").
/// Checked by the rules of the file, those between options too; the error reads "--cpus: found 99, allowed: an integer
/// from 1 to 8". After an error the scenario is not to be used.
Result<> set_option(Scenario& scenario, std::string_view key, std::string_view value, std::string_view shown_as);

/// The scenario with every default written out, as YAML that load_text() reads as an equal scenario (but for lines).
std::string to_yaml(const Scenario& scenario);

}  // namespace vmm::scenario
