// log-source and metric-source: what the kernel says of itself, as text.
#pragma once

#include "inputs.hpp"
#include "pace.hpp"

namespace guest::graph {

inline constexpr std::int64_t kMaxMetricBytes = 65'536;

inline constexpr ParameterSpec kLogSourceParameters[] = {
    kCountParameter,
    {.name = "period_us",
     .min = 1000,
     .max = kMaxPeriodUs,
     .fallback = 10'000,
     .help = "from one look for new lines to the next, when there were none"},
};
MadeOperator make_log_source(const Parameters& parameters);

inline constexpr ParameterSpec kMetricSourceParameters[] = {
    kCountParameter,
    {.name = "period_us",
     .min = 1000,
     .max = kMaxPeriodUs,
     .fallback = 1'000'000,
     .help = "from one tensor to the next"},
    {.name = "max_bytes",
     .min = 64,
     .max = kMaxMetricBytes,
     .fallback = 16'384,
     .help = "of a tensor; the rest is cut"},
};
MadeOperator make_metric_source(const Parameters& parameters);

}  // namespace guest::graph
