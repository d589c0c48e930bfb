// What sisctl's commands do.
#pragma once

#include <iosfwd>

#include "tools/options.hpp"

namespace sisctl {

/// Runs the command; results go to `out`, complaints to `err`. `terminal`: somebody watches `out`.
ExitCode run_command(const Options& options, std::ostream& out, std::ostream& err, bool terminal);

}  // namespace sisctl
