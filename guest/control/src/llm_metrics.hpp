// Figures of the LLM service (docs/observation.md, "Metrics").
#pragma once

#include "guest/control/llm.hpp"
#include "metrics.hpp"

namespace guest::control {

void gather_llm(Llm& llm, MetricSink& sink);

}  // namespace guest::control
