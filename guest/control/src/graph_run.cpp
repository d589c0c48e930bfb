// Running graphs.
#include <new>

#include "graph_common.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

void add_run(ResultMap& result, const graph::Graph& graph, const graph::Runner& runner) {
  const graph::RunReport report = runner.report();
  result.add("graph", graph.name());
  result.add("state", to_string(report.state));
  result.add("end", to_string(report.end));
  if (!report.why.empty()) {
    result.add("why", report.why);
  }
  result.add("runs", report.runs);
  result.add("executions", report.executions);
  result.add("ran_ns", report.ran_ns);
}

}  // namespace

void add_run(ResultMap& result, const graph::GraphEntry& entry) { add_run(result, *entry.graph, *entry.runner); }

namespace {

/// Of a command that does one thing with a graph, and answers what became of it.
template <typename Action>
HandlerResult act(const Arguments& arguments, ResultMap& result, Action&& action) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  const kernel::Outcome outcome = action(*(*entry)->runner);
  if (!outcome) {
    return refuse_graph(outcome.error());
  }
  add_run(result, **entry);
  return Handled::Now;
}

/// Answers its caller when the run has ended: from a work item, for the caller may go on at once and start or destroy
/// the graph, whose runner must be through with its observers by then. Frees itself there, or when it is cancelled
/// before.
class Wait final : public Operation, public graph::RunObserver {
 public:
  Wait(graph::GraphEntry& entry, Caller& caller) : runner_(*entry.runner), graph_(*entry.graph), caller_(&caller) {
    runner_.observe(*this);
  }
  void cancel() override {
    caller_ = nullptr;
    if (!has_ended_) {
      runner_.forget(*this);
      delete this;
    }
  }
  /// What there is to say is written down now: the next run may begin before it is said.
  void run_ended() override {
    has_ended_ = true;
    ResultMap result(writer_);
    add_run(result, graph_, runner_);
    result.finish();
    kernel::work_queue().raise(answer_);
  }

 private:
  void answer() {
    if (caller_ != nullptr) {
      caller_->complete(writer_.written());
    }
    delete this;
  }

  graph::Runner& runner_;
  graph::Graph& graph_;
  Caller* caller_;
  bool has_ended_ = false;
  std::byte memory_[512];
  CborWriter writer_{memory_};
  kernel::WorkItem answer_{[](void* self) { static_cast<Wait*>(self)->answer(); }, this};
};

}  // namespace

HandlerResult handle_graph_start(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  return act(arguments, result,
             [&](graph::Runner& runner) { return runner.start(arguments.number("steps", graph::Runner::kForEver)); });
}
HandlerResult handle_graph_stop(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  return act(arguments, result, [](graph::Runner& runner) { return runner.stop(); });
}
HandlerResult handle_graph_drain(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  return act(arguments, result, [](graph::Runner& runner) { return runner.drain(); });
}
HandlerResult handle_graph_pause(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  return act(arguments, result, [](graph::Runner& runner) { return runner.pause(); });
}
HandlerResult handle_graph_resume(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  return act(arguments, result, [](graph::Runner& runner) { return runner.resume(); });
}

HandlerResult handle_graph_wait(Services&, const Arguments& arguments, Caller& caller, ResultMap& result) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  if ((*entry)->runner->report().state == graph::RunState::Idle) {
    add_run(result, **entry);
    return Handled::Now;
  }
  auto* const wait = new (std::nothrow) Wait(**entry, caller);
  if (wait == nullptr) {
    return refuse(error::kBusy, "", "no memory to wait for a graph");
  }
  caller.defer(*wait);
  return Handled::Later;
}

}  // namespace guest::control
