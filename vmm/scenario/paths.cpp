#include "paths.hpp"

#include <filesystem>

#include "program_problems.hpp"
#include "types.hpp"

namespace vmm::scenario {
namespace {

class Resolver {
 public:
  Resolver(Problems& problems, const std::string& file_name)
      : problems_(problems), folder_(std::filesystem::path(file_name).parent_path()) {}

  void resolve(Position at, const std::string& key, std::string& path) {
    std::error_code error;
    const std::string absolute = std::filesystem::absolute(folder_ / path, error).lexically_normal().string();
    if (error) {
      problems_.add(at, key, "a relative path, and no current folder: " + error.message(), "an absolute path");
    } else if (absolute.size() > kMaxPathBytes) {  // the resolved scenario could not be read again
      problems_.add(at, key, "a path of " + std::to_string(absolute.size()) + " bytes from the root",
                    "at most " + std::to_string(kMaxPathBytes));
    }
    path = absolute;
  }

 private:
  Problems& problems_;
  std::filesystem::path folder_;
};

std::string place_text(const std::string& file_name, Position at, const std::string& key) {
  return file_name + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) + ": " + key;
}

}  // namespace

void resolve_paths(Problems& problems, const Node& root, const std::string& file_name, Scenario& scenario) {
  Resolver resolver(problems, file_name);
  if (!scenario.kernel.empty())
    resolver.resolve(place(*value_of(root, "boot"), "kernel"), "boot.kernel", scenario.kernel);
  std::vector<Position> places(scenario.tasks.size());
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    if (!scenario.tasks[i].program) continue;
    UserProgram& program = *scenario.tasks[i].program;
    places[i] = place(*value_of(value_of(root, "tasks")->items[i], "program"), "file");
    resolver.resolve(places[i], program_key(i), program.file);
    program.place = place_text(file_name, places[i], program_key(i));
  }
  for (const ProgramProblem& problem : name_problems(scenario.tasks)) {
    problems.add(places[problem.task], program_key(problem.task), problem.found, problem.allowed);
  }
}

}  // namespace vmm::scenario
