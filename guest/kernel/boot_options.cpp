#include "guest/kernel/boot_options.hpp"

#include <algorithm>

namespace guest::kernel {
namespace {

constexpr std::string_view kBlanks = " \t\n";
constexpr std::string_view kVerbosity = "verbosity=";
constexpr std::string_view kShell = "shell=";

}  // namespace

std::expected<BootOptions, NamedError> parse_boot_options(std::string_view arguments) {
  BootOptions options;
  while (true) {
    arguments.remove_prefix(std::min(arguments.find_first_not_of(kBlanks), arguments.size()));
    if (arguments.empty()) {
      return options;
    }
    if (arguments.starts_with(kShell)) {
      options.shell_line = arguments.substr(kShell.size());
      return options;
    }
    const std::string_view word = arguments.substr(0, arguments.find_first_of(kBlanks));
    arguments.remove_prefix(word.size());
    if (!word.starts_with(kVerbosity)) {
      continue;
    }
    Verbosity verbosity{};
    const std::string_view value = word.substr(kVerbosity.size());
    if (!parse_verbosity(value, verbosity)) {
      return fail("bootargs-bad-value", "verbosity={}: expected quiet, info or debug", escaped(value));
    }
    options.verbosity = verbosity;
  }
}

}  // namespace guest::kernel
