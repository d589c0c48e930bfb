// The command line of sisvmm.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vmm::cli {

struct RunOptions {
  std::string file;
  std::optional<std::string> name;
  std::optional<std::string> run_dir;
  std::optional<std::string> kernel;
  std::optional<double> timeout_s;
  bool interactive = false;
  bool json = false;
  /// What replaces options of the scenario: its key, the text given, and the option's name for messages.
  struct Override {
    std::string key;
    std::string value;
    std::string option;
  };
  std::vector<Override> overrides;
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
struct SchemaOptions {};

using Command =
    std::variant<RunOptions, CheckOptions, DoctorOptions, ListOptions, StopOptions, ConsoleOptions, SchemaOptions>;

/// What came of reading the command line: a command, or a text to print and the exit code.
struct Parsed {
  std::optional<Command> command;
  std::string text;
  int exit_code = 0;
};

Parsed parse_command_line(int argc, const char* const* argv, const std::string& version);

}  // namespace vmm::cli
