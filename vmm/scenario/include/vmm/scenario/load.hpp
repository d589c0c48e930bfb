// Reading scenario files.
#pragma once

#include <string>
#include <string_view>

#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Reads and validates a scenario file, whole, before anything is started.
/// Errors carry ExitCode::Usage and every problem found, one a line:
/// "hello.yaml:7:3: machine.cpus: found 99, allowed: an integer from 1 to 8".
Result<Scenario> load_file(const std::string& path);

/// The same for text that is already in memory; `file_name` is used in messages.
Result<Scenario> load_text(std::string_view yaml, const std::string& file_name);

/// The scenario with every default written out, as YAML that load_text() accepts again.
std::string to_yaml(const Scenario& scenario);

}  // namespace vmm::scenario
