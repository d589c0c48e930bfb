#include "paths.hpp"

#include <filesystem>

#include "file_problems.hpp"
#include "items.hpp"
#include "llm_type.hpp"
#include "types.hpp"
#include "vmm/base/file.hpp"

namespace vmm::scenario {
namespace {

class Resolver {
 public:
  Resolver(Problems& problems, const std::string& file_name)
      : problems_(problems), folder_(std::filesystem::path(file_name).parent_path()) {}

  void resolve(Position at, const std::string& key, std::string& path) const {
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

/// A key in a file takes the place of the file's name: what is loaded needs no other file to be understood.
void read_public_key(Problems& problems, Position at, const Resolver& resolver, Llm& llm) {
  constexpr char kKey[] = "llm.public_key_file";
  constexpr std::size_t kMaxBytes = 66;  // 64 digits, and the end of a line
  resolver.resolve(at, kKey, llm.public_key_file);
  auto digits = read_file(llm.public_key_file, kMaxBytes);
  if (digits && digits->ends_with('\n')) digits->pop_back();
  const std::string problem = digits ? public_key_problem(*digits) : digits.error().message;
  if (!problem.empty()) {
    problems.add(at, kKey, problem, "a file with 64 hexadecimal digits, as sis-model keygen writes it");
  } else {
    llm.public_key = *std::move(digits);
    llm.public_key_file.clear();
  }
}

std::string place_text(const std::string& file_name, Position at, const std::string& key) {
  return file_name + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) + ": " + key;
}

}  // namespace

void resolve_paths(Problems& problems, const Node& root, const std::string& file_name, Scenario& scenario) {
  Resolver resolver(problems, file_name);
  if (!scenario.kernel.empty())
    resolver.resolve(place(*value_of(root, "boot"), "kernel"), "boot.kernel", scenario.kernel);
  const std::vector<NamedFile> files = named_files(scenario);
  std::vector<Position> places;  // of `files`, in their order
  const auto resolve = [&](const Node& map, std::string& path, std::string& path_place) {
    const std::string& key = files[places.size()].key;
    const Position at = places.emplace_back(place(map, "file"));
    resolver.resolve(at, key, path);
    path_place = place_text(file_name, at, key);
  };
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    auto& program = scenario.tasks[i].program;
    if (program) resolve(*value_of(items_of(root, "tasks")[i], "program"), program->file, program->place);
  }
  for (std::size_t i = 0; i < scenario.graphs.size(); ++i) {
    const std::vector<Node>& nodes = items_of(items_of(root, "graphs")[i], "operators");
    for (std::size_t j = 0; j < nodes.size(); ++j) {
      OperatorParameters& parameters = scenario.graphs[i].operators[j].parameters;
      if (!parameters.file.empty()) resolve(*value_of(nodes[j], "parameters"), parameters.file, parameters.place);
    }
  }
  if (!scenario.llm.public_key_file.empty()) {
    read_public_key(problems, place(*value_of(root, "llm"), "public_key_file"), resolver, scenario.llm);
  }
  for (std::size_t i = 0; i < scenario.llm.models.size(); ++i) {
    const Node& node = items_of(*value_of(root, "llm"), "models")[i];
    resolve(node, scenario.llm.models[i].file, scenario.llm.models[i].place);
  }
  for (const FileProblem& problem : name_problems(named_files(scenario))) {
    problems.add(places[problem.file], files[problem.file].key, problem.found, problem.allowed);
  }
}

}  // namespace vmm::scenario
