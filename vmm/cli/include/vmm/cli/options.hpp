// The command line of sisvmm.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vmm::cli {

/// What replaces an option of the scenario: its key, the text given, and the option's name for messages.
struct Override {
  std::string key;
  std::string value;
  std::string option;
};
struct RunOptions {
  std::string file;
  std::optional<std::string> name;
  std::optional<std::string> run_dir;
  std::optional<std::string> kernel;
  std::optional<double> timeout_s;
  std::optional<std::string> web;  ///< serve the live page here
  bool interactive = false;
  bool until_ready = false;
  std::optional<unsigned> repeat;  ///< how many times; absent: once, and without statistics
  bool until_failure = false;
  bool json = false;
  bool sandbox = true;
  bool observe = false;  ///< as if the scenario had an empty section of that name, if it has none
  std::vector<Override> overrides;
};
/// Goes on with a saved machine.
struct RestoreOptions {
  std::string folder;
  std::optional<std::string> name;
  std::optional<std::string> run_dir;
  std::optional<double> timeout_s;
  bool audit = false;
  std::optional<std::string> web;
  bool interactive = false;
  bool json = false;
  bool sandbox = true;
};
/// Boots a kernel without a scenario.
struct BootOptions {
  std::string kernel;
  std::string format = "auto";  ///< board::kernel_format_from() knows it
  std::string initrd;           ///< empty: none
  std::string arguments;        ///< the kernel's command line
  std::string vsock;            ///< path of the vsock device's socket; empty: no device
  std::optional<double> timeout_s;
  bool sandbox = true;
  std::vector<Override> overrides;
};
struct DumpDtbOptions {
  std::string output;  ///< empty: the standard output
  std::string arguments;
  bool pmu = false;
  std::vector<Override> overrides;
};
/// Runs many scenarios.
struct TestOptions {
  std::vector<std::string> paths;
  std::optional<std::string> filter;
  std::optional<std::string> run_dir;
  std::optional<unsigned> jobs;  ///< absent: as many as there are processors
  std::string junit;             ///< empty: none
  bool json = false;
};
struct CheckOptions {
  std::vector<std::string> files;
};
struct DoctorOptions {
  bool json = false;
};
struct ListOptions {
  bool json = false;
};
struct StopOptions {
  std::string name;
  std::optional<double> timeout_s;
};
struct ConsoleOptions {
  std::string name;
};
struct SchemaOptions {
  std::string format = "scenario";  ///< or "metrics", "trace"
};
/// Makes the page of a run, or of two that are compared.
struct ReportOptions {
  std::vector<std::string> folders;   ///< run folders, one or two
  std::optional<std::string> output;  ///< absent: report.html in the first one
};

using Command = std::variant<RunOptions, TestOptions, RestoreOptions, BootOptions, DumpDtbOptions, CheckOptions,
                             DoctorOptions, ListOptions, StopOptions, ConsoleOptions, SchemaOptions, ReportOptions>;

/// What came of reading the command line: a command, or a text to print and the exit code.
struct Parsed {
  std::optional<Command> command;
  std::string text;
  int exit_code = 0;
};

Parsed parse_command_line(int argc, const char* const* argv, const std::string& version);

}  // namespace vmm::cli
