// test: many scenarios, each by a process of its own.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <thread>

#include "children.hpp"
#include "commands.hpp"
#include "suite_output.hpp"
#include "vmm/base/file.hpp"
#include "vmm/suite/scenario_files.hpp"
#include "vmm/terminal/signals.hpp"

namespace vmm::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kDefaultRunDir[] = "runs/suite";
constexpr char kReport[] = "suite.json";

std::vector<suite::Item> items_for(const std::vector<suite::ScenarioFile>& scenarios, const fs::path& run_dir) {
  std::vector<suite::Item> items;
  for (const auto& scenario : scenarios) {
    suite::Item item{
        .name = scenario.name, .file = scenario.path, .run_dir = run_dir / scenario.name, .arguments = child_program()};
    // Names of machines are the user's, whatever suites run at the same time.
    const std::string name = std::to_string(::getpid()) + '-' + std::to_string(items.size()) + '-' + scenario.name;
    item.arguments.insert(item.arguments.end(),
                          {"run", "--name", machine_name_from(name), "--run-dir", item.run_dir.string(),
                           "--until-ready", "--json", "--", scenario.path.string()});
    items.push_back(std::move(item));
  }
  return items;
}

/// Makes what must be there at the end, while nothing has been done in vain yet.
Result<> prepare_places(const fs::path& run_dir, const std::string& junit) {
  std::error_code error;
  fs::create_directories(run_dir, error);
  if (error) return fail("cannot create " + run_dir.string() + ": " + error.message(), abi::ExitCode::Usage);
  if (junit.empty()) return {};
  const fs::path folder = fs::absolute(junit, error).parent_path();
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return fail_errno("cannot write --junit " + junit, errno, abi::ExitCode::Usage);
  }
  return {};
}

Result<> write_reports(const suite::Suite& suite, const fs::path& run_dir, const TestOptions& options) {
  const std::string text = observe::to_text(suite::to_json(suite));
  if (auto written = write_file(run_dir / kReport, text); !written) return written;
  if (!options.junit.empty()) {
    const auto xml = observe::to_junit(run_dir.filename().string(), suite::to_cases(suite));
    if (auto written = write_file(options.junit, xml); !written) return written;
  }
  if (options.json) std::fputs(text.c_str(), stdout);
  return {};
}

Result<int> run_suite(const TestOptions& options) {
  auto scenarios = suite::find_scenarios(options.paths, options.filter);
  if (!scenarios) return std::unexpected(std::move(scenarios.error()));
  const fs::path run_dir = options.run_dir.value_or(kDefaultRunDir);
  if (auto prepared = prepare_places(run_dir, options.junit); !prepared) return std::unexpected(prepared.error());
  auto loop = EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  std::size_t width = 0;
  for (const auto& scenario : *scenarios) width = std::max(width, scenario.name.size());
  TextOutput output(STDOUT_FILENO, {});
  SuiteOutput listener(output, options.json, width);
  const unsigned jobs = options.jobs.value_or(std::max(1U, std::thread::hardware_concurrency()));
  suite::Suite suite(**loop, items_for(*scenarios, run_dir), jobs, listener);
  auto signals = SignalWatch::create(**loop, {SIGINT, SIGTERM, SIGHUP, SIGQUIT}, [&](int) { suite.interrupt(); });
  if (!signals) return std::unexpected(signals.error());
  const Ticker ticker(**loop, output, [&] { listener.show_running(suite); });
  if (auto ran = suite.run(); !ran) return std::unexpected(ran.error());
  listener.on_finished(suite, run_dir);
  output.drain();
  if (auto written = write_reports(suite, run_dir, options); !written) return std::unexpected(written.error());
  return suite.exit_code();
}

}  // namespace

int test(const TestOptions& options) {
  const auto code = run_suite(options);
  return code ? *code : report(code.error());
}

}  // namespace vmm::cli
