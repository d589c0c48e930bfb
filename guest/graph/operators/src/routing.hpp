// window, join, split: tensors as they are, in other company. And load, which only takes time.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr std::int64_t kMaxWindow = 256;
inline constexpr std::int64_t kMaxLoadUs = 10'000'000;

inline constexpr ParameterSpec kWindowParameters[] = {
    {.name = "size", .required = true, .min = 1, .max = kMaxWindow, .help = "inputs that make one output"},
    {.name = "step", .min = 1, .max = kMaxWindow, .fallback = 1, .help = "inputs from one output to the next"},
};
MadeOperator make_window(const Parameters& parameters);

inline constexpr ParameterSpec kJoinParameters[] = {
    {.name = "mode",
     .type = ParameterSpec::Type::Choice,
     .choices = "concat|stack",
     .help = "along the first dimension, or along a new one"},
};
MadeOperator make_join(const Parameters& parameters);

inline constexpr ParameterSpec kSplitParameters[] = {
    {.name = "mode",
     .type = ParameterSpec::Type::Choice,
     .choices = "share|round-robin",
     .help = "the same tensor to all outputs, or each to the next one"},
};
MadeOperator make_split(const Parameters& parameters);

inline constexpr ParameterSpec kLoadParameters[] = {
    {.name = "us", .required = true, .max = kMaxLoadUs, .help = "processor time of an execution"},
};
MadeOperator make_load(const Parameters& parameters);

}  // namespace guest::graph
