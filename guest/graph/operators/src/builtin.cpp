#include "guest/graph/operators/builtin.hpp"

#include "control.hpp"
#include "image.hpp"
#include "routing.hpp"
#include "sinks.hpp"
#include "synthetic_source.hpp"

namespace guest::graph {
namespace {

constexpr OperatorKind kKinds[] = {
    // ---- sources
    {.name = "synthetic-source",
     .help = "numbers that depend on their place only",
     .min_outputs = 1,
     .max_outputs = 1,
     .parameters = kSyntheticSourceParameters,
     .make = make_synthetic_source},
    {.name = "control-source",
     .help = "what the control plane feeds",
     .min_outputs = 1,
     .max_outputs = 1,
     .parameters = kControlSourceParameters,
     .make = make_control_source},
    // ---- images and other numbers
    {.name = "threshold",
     .help = "255 where an element reaches a level, else 0",
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .parameters = kThresholdParameters,
     .make = make_threshold},
    // ---- routes
    {.name = "window",
     .help = "several inputs, one after the other, as one output",
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .parameters = kWindowParameters,
     .make = make_window},
    {.name = "join",
     .help = "one tensor of each input as one output",
     .min_inputs = 2,
     .max_inputs = kMaxPorts,
     .min_outputs = 1,
     .max_outputs = 1,
     .parameters = kJoinParameters,
     .make = make_join},
    {.name = "split",
     .help = "one input to several outputs, without a copy",
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = kMaxPorts,
     .parameters = kSplitParameters,
     .make = make_split},
    {.name = "load",
     .help = "passes on what it gets, and takes processor time",
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .parameters = kLoadParameters,
     .make = make_load},
    // ---- sinks
    {.name = "sink",
     .help = "ends tensors, and checks them if it is told to",
     .min_inputs = 1,
     .max_inputs = kMaxPorts,
     .parameters = kSinkParameters,
     .make = make_sink},
    {.name = "log-sink",
     .help = "writes text, or what tensors are, to the kernel's log",
     .min_inputs = 1,
     .max_inputs = 1,
     .parameters = kLogSinkParameters,
     .make = make_log_sink},
    {.name = "control-sink",
     .help = "keeps the newest tensors for the control plane",
     .min_inputs = 1,
     .max_inputs = 1,
     .parameters = kControlSinkParameters,
     .make = make_control_sink},
};

}  // namespace

std::span<const OperatorKind> builtin_kinds() { return kKinds; }

}  // namespace guest::graph
