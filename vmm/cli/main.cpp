// sisvmm: the virtual machine monitor.
#include <cstdio>
#include <exception>

#include "commands.hpp"
#include "vmm/cli/options.hpp"
#include "vmm/terminal/signals.hpp"

namespace vmm::cli {
namespace {

struct Dispatch {
  int operator()(const RunOptions& options) const { return options.repeat ? run_many(options) : run(options); }
  int operator()(const TestOptions& options) const { return test(options); }
  int operator()(const RestoreOptions& options) const { return restore(options); }
  int operator()(const BootOptions& options) const { return boot(options); }
  int operator()(const DumpDtbOptions& options) const { return dumpdtb(options); }
  int operator()(const CheckOptions& options) const { return check(options); }
  int operator()(const DoctorOptions& options) const { return doctor(options); }
  int operator()(const ListOptions& options) const { return list(options); }
  int operator()(const StopOptions& options) const { return stop(options); }
  int operator()(const ConsoleOptions& options) const { return console(options); }
  int operator()(const SchemaOptions& options) const { return schema(options); }
  int operator()(const ReportOptions& options) const { return report_page(options); }
};

int main_with(int argc, const char* const* argv) {
  ignore_broken_pipes();
  const auto parsed = parse_command_line(argc, argv, version());
  if (!parsed.command) {
    std::fputs(parsed.text.c_str(), parsed.exit_code == 0 ? stdout : stderr);
    return parsed.exit_code;
  }
  const int code = std::visit(Dispatch{}, *parsed.command);
  // A full disk or a closed pipe: what was not printed was not reported.
  if (std::fflush(stdout) != 0 && code == 0) return report({.message = "cannot write to the standard output"});
  return code;
}

}  // namespace

}  // namespace vmm::cli

int main(int argc, char** argv) {
  try {
    return vmm::cli::main_with(argc, argv);
  } catch (const std::exception& error) {
    return vmm::cli::report({.message = std::string("internal error: ") + error.what()});
  }
}
