// check and schema: what needs no machine.
#include <cstdio>

#include "commands.hpp"
#include "vmm/observe/schemas.hpp"
#include "vmm/scenario/files.hpp"
#include "vmm/scenario/load.hpp"
#include "vmm/scenario/schema.hpp"

namespace vmm::cli {
namespace {

/// The scenario, if the files that it names are as they should be, too.
Result<scenario::Scenario> load_with_files(const std::string& file) {
  auto scenario = scenario::load_file(file);
  if (!scenario) return scenario;
  if (auto files = scenario::read_files(*scenario); !files) {
    return std::unexpected(std::move(files.error()));
  }
  return scenario;
}

}  // namespace

int check(const CheckOptions& options) {
  int code = 0;
  for (const auto& file : options.files) {
    const auto scenario = load_with_files(file);
    if (scenario) {
      std::size_t requests = 0;
      for (const auto& step : scenario->steps) requests += step.requests.size();
      std::printf("%s: ok: %s, %zu requests\n", file.c_str(), scenario->name.c_str(), requests);
    } else {
      std::fflush(stdout);
      std::fprintf(stderr, "%s\n", scenario.error().message.c_str());
      code = static_cast<int>(scenario.error().exit_code);
    }
  }
  return code;
}

int schema(const SchemaOptions& options) {
  std::string text;
  if (options.format == "metrics") {
    text = observe::metrics_schema();
  } else if (options.format == "trace") {
    text = observe::trace_schema();
  } else {
    text = scenario::json_schema();
  }
  std::fputs(text.c_str(), stdout);
  if (!text.ends_with('\n')) std::fputc('\n', stdout);
  return 0;
}

}  // namespace vmm::cli
