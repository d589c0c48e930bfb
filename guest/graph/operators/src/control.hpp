// control-source and control-sink: where the control plane feeds a graph, and listens to it.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr std::int64_t kMaxControlDepth = 64;
inline constexpr std::int64_t kMaxFeedBytes = 65'536;

inline constexpr ParameterSpec kControlSourceParameters[] = {
    {.name = "depth", .min = 1, .max = kMaxControlDepth, .fallback = 8, .help = "tensors that wait at most"},
    {.name = "max_bytes", .min = 1, .max = kMaxFeedBytes, .fallback = 4096, .help = "of one tensor"},
    {.name = "dtype",
     .type = ParameterSpec::Type::Choice,
     .choices = "u8|i8|u16|i16|f16|u32|i32|f32|u64|i64|f64",
     .help = "of the elements; a tensor has one dimension"},
};
MadeOperator make_control_source(const Parameters& parameters);

inline constexpr ParameterSpec kControlSinkParameters[] = {
    {.name = "keep",
     .min = 1,
     .max = kMaxControlDepth,
     .fallback = 16,
     .help = "the newest tensors that wait to be taken"},
};
MadeOperator make_control_sink(const Parameters& parameters);

}  // namespace guest::graph
