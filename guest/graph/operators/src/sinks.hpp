// sink and log-sink: where tensors end.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr ParameterSpec kSinkParameters[] = {
    {.name = "check",
     .type = ParameterSpec::Type::Choice,
     .choices = "none|sequence|equal",
     .help = "fail on a gap between sequence numbers; on inputs that differ"},
};
MadeOperator make_sink(const Parameters& parameters);

inline constexpr ParameterSpec kLogSinkParameters[] = {
    {.name = "per_second", .max = 1000, .fallback = 10, .help = "lines at most; 0: no limit"},
};
MadeOperator make_log_sink(const Parameters& parameters);

}  // namespace guest::graph
