#include "vmm/report/run_data.hpp"

#include <functional>
#include <set>
#include <string_view>
#include <system_error>

#include "audit_counts.hpp"
#include "json_text.hpp"
#include "vmm/base/file.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/report/trace_excerpt.hpp"
#include "vmm/scenario/load.hpp"

namespace vmm::report {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kMaxSummary = 16 * kMiB;
constexpr std::size_t kMaxScenario = 4 * kMiB;
/// Goes into the page whole.
constexpr std::size_t kMaxMetrics = 16 * kMiB;
constexpr std::size_t kMaxTrace = 256 * kMiB;
constexpr std::size_t kMaxAudit = 64 * kMiB;

using Convert = std::function<Result<std::string>(std::string)>;

/// What `convert` makes of a file that a run may have; empty if it has none, or a note that it is too large.
Result<std::string> optional_file(const fs::path& path, std::size_t max_bytes, std::vector<std::string>& notes,
                                  const Convert& convert) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return std::string();
  if (fs::is_regular_file(status) && fs::file_size(path, error) > max_bytes && !error) {
    notes.push_back(path.filename().string() + " is left out: it has more than " + std::to_string(max_bytes / kMiB) +
                    " MiB.");
    return std::string();
  }
  auto text = read_file(path, max_bytes);
  if (!text) return fail(text.error().message, abi::ExitCode::Usage);
  auto converted = convert(std::move(*text));
  if (!converted) return fail(path.string() + ": " + converted.error().message, abi::ExitCode::Usage);
  return converted;
}

/// An object that goes into the page as it is.
Convert object_of(Expected expected) {
  return [expected](std::string text) -> Result<std::string> {
    if (auto checked = check_object(text, expected); !checked) return std::unexpected(checked.error());
    return text;
  };
}

}  // namespace

std::vector<ServerBudget> servers_of(const std::string& scenario) {
  const auto loaded = scenario::load_text(scenario, machine::file::kScenario);
  std::vector<ServerBudget> servers;
  if (!loaded) return servers;
  for (const auto& server : loaded->scheduler.servers) servers.push_back({server.name, server.budget, server.period});
  for (const auto& graph : loaded->graphs) {
    if (!graph.server) continue;
    std::set<unsigned> cpus;
    for (const auto& each : graph.operators) cpus.insert(each.cpu);
    for (const unsigned cpu : cpus) {
      servers.push_back({graph.name + ".cpu" + std::to_string(cpu), graph.server->budget, graph.server->period});
    }
  }
  return servers;
}

Result<RunData> read_run(const fs::path& folder) {
  RunData run;
  run.folder = folder.string();
  auto summary = read_file(folder / machine::file::kSummary, kMaxSummary);
  if (!summary) {
    return fail(summary.error().message + "; expected the folder of a run that has ended, as runs/NAME",
                abi::ExitCode::Usage);
  }
  if (auto checked = check_object(*summary); !checked) {
    return fail((folder / machine::file::kSummary).string() + ": " + checked.error().message, abi::ExitCode::Usage);
  }
  run.summary = std::move(*summary);
  const auto as_it_is = [&run](std::string text) -> Result<std::string> {
    run.servers = servers_of(text);
    run.scenario = std::move(text);
    return std::string();
  };
  struct File {
    const char* name;
    std::size_t max_bytes;
    Convert convert;
    std::string* result;
  };
  std::string none;
  const File files[] = {
      {machine::file::kScenario, kMaxScenario, as_it_is, &none},
      {"metrics.json", kMaxMetrics, object_of({.format = "sis-metrics", .version = 1}), &run.metrics},
      {"trace.json", kMaxTrace, [](std::string text) { return trace_excerpt(text); }, &run.trace},
      {machine::file::kAudit, kMaxAudit, [](std::string text) { return audit_counts(text); }, &run.audit},
  };
  for (const File& file : files) {
    auto read = optional_file(folder / file.name, file.max_bytes, run.notes, file.convert);
    if (!read) return std::unexpected(read.error());
    *file.result = std::move(*read);
  }
  return run;
}

}  // namespace vmm::report
