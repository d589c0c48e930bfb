// Which scenarios a suite consists of.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"

namespace vmm::suite {

struct ScenarioFile {
  std::string name;  ///< of the file without its ending; unique in the suite
  std::filesystem::path path;
};

/// The scenarios that `paths` name: files, and of folders all *.yaml and *.yml in them, by name. A file that is named
/// twice counts once; of two with the same name the second is called NAME-2. With `filter` those whose name matches the
/// shell pattern. Errors (ExitCode::Usage): a path that is not there, a folder without scenarios, no name that matches.
Result<std::vector<ScenarioFile>> find_scenarios(const std::vector<std::string>& paths,
                                                 const std::optional<std::string>& filter);

}  // namespace vmm::suite
