#include "vmm/scenario/load.hpp"

#include <filesystem>
#include <map>
#include <set>

#include "document.hpp"
#include "format.hpp"
#include "paths.hpp"
#include "vmm/base/file.hpp"
#include "yaml_writer.hpp"

namespace vmm::scenario {
namespace {

/// The explicit names of requests must differ. Looks at the file and not at the model, so that this is said beside
/// whatever else is wrong.
void check_names(Problems& problems, const Node& root) {
  std::map<std::string, std::size_t, std::less<>> line_of;
  const auto check = [&](const Node& request, const std::string& key) {
    const Node* name = value_of(request, "name");
    if (name == nullptr || name->text.empty()) return;
    const auto [first, is_new] = line_of.try_emplace(name->text, name->at.line);
    if (!is_new) {
      problems.add(name->at, key + ".name", quote(name->text),
                   "a name of its own (line " + std::to_string(first->second) + " has this one)");
    }
  };
  const Node* steps = value_of(root, "steps");
  if (steps == nullptr) return;
  for (std::size_t i = 0; i < steps->items.size(); ++i) {
    const std::string key = "steps[" + std::to_string(i) + ']';
    check(steps->items[i], key);
    const Node* parallel = value_of(steps->items[i], "parallel");
    for (std::size_t j = 0; parallel != nullptr && j < parallel->items.size(); ++j) {
      check(parallel->items[j], key + ".parallel[" + std::to_string(j) + ']');
    }
  }
}

/// Names requests that have none: the op, "op#2" where that is taken, and so on.
void name_requests(Scenario& scenario) {
  std::set<std::string> taken;
  for (const Step& step : scenario.steps) {
    for (const Request& request : step.requests) taken.insert(request.name);
  }
  std::map<std::string, std::size_t> tried;  // so that a thousand pings are not tried from the start each time
  for (Step& step : scenario.steps) {
    for (Request& request : step.requests) {
      while (request.name.empty()) {
        const std::size_t number = ++tried[request.op];
        const std::string name = number == 1 ? request.op : request.op + '#' + std::to_string(number);
        if (taken.insert(name).second) request.name = name;
      }
    }
  }
}

/// The file's name without its ending, with what a machine's name may not have replaced by '-'.
std::string name_of_file(const std::filesystem::path& file) {
  static constexpr std::size_t kMaxName = 64;
  std::string name = file.stem().string().substr(0, kMaxName);
  const auto is_alnum = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  for (char& c : name) {
    if (!is_alnum(c) && c != '.' && c != '_') c = '-';
  }
  if (name.empty() || !is_alnum(name.front())) name = ("scenario" + name).substr(0, kMaxName);
  return name;
}

}  // namespace

Result<Scenario> load_text(std::string_view yaml, const std::string& file_name) {
  Problems problems;
  Scenario scenario;
  if (const auto root = parse_document(yaml, problems)) {
    scenario_type()->read(problems, "", *root, scenario);
    check_names(problems, *root);
    if (problems.empty()) resolve_paths(problems, *root, file_name, scenario);
  }
  if (!problems.empty()) return fail(problems.to_text(file_name), abi::ExitCode::Usage);
  if (scenario.name.empty()) scenario.name = name_of_file(file_name);
  name_requests(scenario);
  return scenario;
}

Result<Scenario> load_file(const std::string& path) {
  auto text = read_file(path, limit::kFileBytes);
  if (!text) return fail(std::move(text.error().message), abi::ExitCode::Usage);
  return load_text(*text, path);
}

Result<> set_option(Scenario& scenario, std::string_view key, std::string_view value, std::string_view shown_as) {
  Problems problems;
  Node node;
  node.kind = Node::Kind::Plain;
  node.text = value;
  // Not by the type of the whole file: making that costs about as much as parsing the command line does.
  constexpr std::string_view kMachine = "machine.";
  if (!key.starts_with(kMachine) ||
      !machine_type()->read_at(problems, "", key.substr(kMachine.size()), node, scenario.machine)) {
    return fail("no option of machines is called " + quote(key));
  }
  if (problems.empty()) check_machine(problems, "machine", Node{}, scenario.machine);
  if (!problems.empty()) return fail(problems.to_text(shown_as), abi::ExitCode::Usage);
  return {};
}

std::string to_yaml(const Scenario& scenario) { return write_yaml(scenario_type()->write(scenario)); }

}  // namespace vmm::scenario
