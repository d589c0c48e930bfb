// What an operator does when it runs, besides what graph.hpp has inline.
#include "guest/graph/graph.hpp"

namespace guest::graph {

/// The ports are left empty.
void Operator::note_failure() {
  add_one(failures_);
  firing_.goes_on_ = false;
  for (std::size_t i = 0; i < kMaxPorts; ++i) {
    firing_.inputs_.tensors[i].reset();
    firing_.outputs_.tensors[i].reset();
  }
}

OperatorMetrics Operator::metrics() const {
  return {.executions = executions_.load(std::memory_order_relaxed),
          .overruns = overruns_.load(std::memory_order_relaxed),
          .failures = failures_.load(std::memory_order_relaxed)};
}

}  // namespace guest::graph
