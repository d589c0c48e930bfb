#include "vmm/suite/scenario_files.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <system_error>

namespace vmm::suite {
namespace {

namespace fs = std::filesystem;

/// Names that a message shows.
constexpr std::size_t kMaxShown = 20;

std::unexpected<Error> unreadable(const std::string& path, const std::error_code& error) {
  return fail("cannot read " + path + ": " + error.message(), abi::ExitCode::Usage);
}

Result<std::vector<fs::path>> scenarios_in(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto ending = it->path().extension();
    std::error_code ignored;  // a link that leads nowhere is no file
    if ((ending == ".yaml" || ending == ".yml") && it->is_regular_file(ignored)) files.push_back(it->path());
  }
  if (error) return unreadable(folder, error);
  if (files.empty()) {
    return fail("there is no scenario in " + folder + ": no file *.yaml or *.yml", abi::ExitCode::Usage);
  }
  std::ranges::sort(files);
  return files;
}

/// Adds one, unless it is there already under whatever name.
Result<> add(const fs::path& path, std::set<fs::path>& seen, std::vector<ScenarioFile>& scenarios) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return unreadable(path.string(), error);
  if (!seen.insert(real).second) return {};
  const std::string stem = path.stem().string();
  std::string name = stem;
  const auto is_taken = [&] { return std::ranges::find(scenarios, name, &ScenarioFile::name) != scenarios.end(); };
  for (unsigned number = 2; is_taken(); ++number) {
    name = stem + '-' + std::to_string(number);
  }
  scenarios.push_back({std::move(name), path});
  return {};
}

Result<std::vector<ScenarioFile>> matching(std::vector<ScenarioFile> scenarios, const std::string& filter) {
  std::string names;
  for (std::size_t i = 0; i < scenarios.size() && i < kMaxShown; ++i) {
    names += (i == 0 ? "" : ", ") + scenarios[i].name;
  }
  if (scenarios.size() > kMaxShown) names += " and " + std::to_string(scenarios.size() - kMaxShown) + " more";
  std::erase_if(scenarios,
                [&](const ScenarioFile& scenario) { return ::fnmatch(filter.c_str(), scenario.name.c_str(), 0) != 0; });
  if (scenarios.empty()) {
    return fail("no scenario matches --filter '" + filter + "'; there are " + names, abi::ExitCode::Usage);
  }
  return scenarios;
}

}  // namespace

Result<std::vector<ScenarioFile>> find_scenarios(const std::vector<std::string>& paths,
                                                 const std::optional<std::string>& filter) {
  std::vector<ScenarioFile> scenarios;
  std::set<fs::path> seen;
  for (const std::string& path : paths) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (!fs::exists(status)) {
      return unreadable(path, error ? error : std::make_error_code(std::errc::no_such_file_or_directory));
    }
    std::vector<fs::path> files{path};
    if (fs::is_directory(status)) {
      auto found = scenarios_in(path);
      if (!found) return std::unexpected(std::move(found.error()));
      files = std::move(*found);
    }
    for (const fs::path& file : files) {
      if (auto added = add(file, seen, scenarios); !added) return std::unexpected(std::move(added.error()));
    }
  }
  if (!filter) return scenarios;
  return matching(std::move(scenarios), *filter);
}

}  // namespace vmm::suite
