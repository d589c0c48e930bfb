// `sisctl top`: the guest's CPUs, servers, operators, channels and threads, once or as a full-screen live view.
#pragma once

#include "tools/session.hpp"

namespace sisctl {

/// On a terminal without a time: full screen, until the user ends it or the machine does. Else what one interval
/// showed, as text or as JSON.
ExitCode run_top(const Context& context, const Top& top);

}  // namespace sisctl
