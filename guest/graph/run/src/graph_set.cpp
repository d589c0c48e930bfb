#include "guest/graph/run/graph_set.hpp"

#include <algorithm>
#include <new>

namespace guest::graph {

using kernel::fail;

std::expected<GraphEntry*, kernel::NamedError> GraphSet::create(const GraphSpec& spec,
                                                                const std::optional<sched::ServerParameters>& server) {
  if (find(spec.name) != nullptr) {
    return fail("graph-duplicate-name", "there is a graph '{}' already", spec.name);
  }
  if (size_ == kMaxGraphs) {
    return fail("graph-full", "graph '{}': there are {} graphs already, which is all there can be",
                kernel::escaped(spec.name.substr(0, kMaxGraphName)), size_);
  }
  if (server && sched::check(*server) != sched::Verdict::Admitted) {
    return fail("graph-bad-server", "graph '{}': expected 0 < budget <= deadline <= period <= {} s",
                kernel::escaped(spec.name.substr(0, kMaxGraphName)), sched::kMaxPeriod / 1'000'000'000);
  }
  auto graph = Graph::make(spec, kinds_, schemas_);
  if (!graph) {
    return std::unexpected(graph.error());
  }
  std::unique_ptr<Runner> runner(new (std::nothrow) Runner(**graph, server));
  if (runner == nullptr) {
    return fail("graph-no-memory", "no memory for graph '{}'", spec.name);
  }
  GraphEntry& entry = entries_[size_++];
  entry.graph = *std::move(graph);
  entry.runner = std::move(runner);
  return &entry;
}

kernel::Outcome GraphSet::destroy(std::string_view name) {
  GraphEntry* const entry = find(name);
  if (entry == nullptr) {
    return fail("graph-unknown", "there is no graph '{}'", kernel::escaped(name.substr(0, kMaxGraphName)));
  }
  if (const RunState state = entry->runner->report().state; state != RunState::Idle) {
    return fail("graph-busy", "graph '{}' is {}: stop it first", name, to_string(state));
  }
  entry->runner.reset();
  entry->graph.reset();
  std::move(entry + 1, entries_ + size_, entry);
  --size_;
  return {};
}

GraphEntry* GraphSet::find(std::string_view name) {
  GraphEntry* const end = entries_ + size_;
  GraphEntry* const found =
      std::find_if(entries_, end, [&](const GraphEntry& entry) { return entry.graph->name() == name; });
  return found == end ? nullptr : found;
}

GraphSet& graph_set() {
  static GraphSet set;
  return set;
}

}  // namespace guest::graph
