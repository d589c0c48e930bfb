// What the commands of sis-model do.
#pragma once

#include <ostream>

#include "tools/model/options.hpp"

namespace sis_model {

/// Runs the command. Results go to `out`; errors to `err`, or with --json to `out` as {"error": {...}}.
/// Passed: done. Failed: the package, or the model, is refused. Usage: a file cannot be read or written, or is no key.
abi::ExitCode run_command(const Options& options, std::ostream& out, std::ostream& err);

}  // namespace sis_model
