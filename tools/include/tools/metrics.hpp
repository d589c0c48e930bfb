// `sisctl metrics`: the guest's figures by flat names.
#pragma once

#include "tools/session.hpp"

namespace sisctl {

ExitCode run_metrics(const Context& context, const Metrics& metrics);

}  // namespace sisctl
