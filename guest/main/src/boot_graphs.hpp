// The graphs of the scenario.
#pragma once

namespace guest {

/// Builds the scenario's schemas and graphs, or refuses the boot with the graph and the reason. Those that start with
/// the machine are paused: whoever asks for one finds it under way, and none takes the CPU from the boot. When every
/// CPU has threads, the kinds of operators are known, and the scenario's servers are declared; before anybody else can
/// ask for graphs.
void build_graphs();

/// Lets them go on, as soon as the control loop gets to it.
void run_graphs();

}  // namespace guest
