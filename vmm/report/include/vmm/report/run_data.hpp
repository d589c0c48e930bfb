// What is left of a run, as the page wants it. The files may be anybody's: they are bounded, and what goes into the
// page has been read as JSON before.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"

namespace vmm::report {

/// What a server was promised, of which the page says how much it used.
struct ServerBudget {
  std::string name;
  std::chrono::nanoseconds budget{};
  std::chrono::nanoseconds period{};
};

/// Of each file its JSON text; empty: the run has none.
struct RunData {
  std::string folder;
  std::string summary = {};                  ///< summary.json
  std::optional<std::string> scenario = {};  ///< scenario.yaml; any bytes
  std::vector<ServerBudget> servers = {};    ///< of the scenario, if it can be read
  std::string metrics = {};                  ///< metrics.json
  std::string trace = {};                    ///< of trace.json, as trace_excerpt() makes it
  std::string audit = {};                    ///< of audit.jsonl, as audit_counts() makes it
  std::vector<std::string> notes = {};       ///< what the page should say of what is missing
};

/// Reads a run folder. What a run need not have is absent, or noted when it is too large.
/// Errors (ExitCode::Usage): no summary.json there; a file that is not what it should be. They name the file and what
/// was expected.
Result<RunData> read_run(const std::filesystem::path& folder);

/// The servers of a scenario's text, with the graphs' that have one. None if it is no scenario.
std::vector<ServerBudget> servers_of(const std::string& scenario);

}  // namespace vmm::report
