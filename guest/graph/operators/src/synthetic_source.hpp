// synthetic-source: numbers that depend on their place only.
#pragma once

#include "inputs.hpp"
#include "pace.hpp"

namespace guest::graph {

inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 24;

inline constexpr ParameterSpec kSyntheticSourceParameters[] = {
    kCountParameter,
    kPeriodParameter,
    {.name = "elements",
     .min = 1,
     .max = kMaxElements,
     .fallback = 16,
     .help = "of each tensor, which has one dimension"},
    {.name = "dtype",
     .type = ParameterSpec::Type::Choice,
     .choices = "u8|i8|u16|i16|u32|i32|u64|i64|f32|f64",
     .help = "of the elements"},
    {.name = "pattern",
     .type = ParameterSpec::Type::Choice,
     .choices = "counter|ramp|noise",
     .help = "all as the tensor's number; that plus the element's; random"},
    {.name = "seed", .max = kMaxCount, .help = "of the noise"},
};
MadeOperator make_synthetic_source(const Parameters& parameters);

}  // namespace guest::graph
