#include "guest/graph/run/graph_set.hpp"

#include <algorithm>
#include <new>

namespace guest::graph {

using kernel::fail;

namespace {

kernel::Outcome check_idle(const GraphEntry& entry) {
  if (const RunState state = entry.runner->report().state; state != RunState::Idle) {
    return fail("graph-busy", "graph '{}' is {}: stop it first", entry.graph->name(), to_string(state));
  }
  return {};
}

}  // namespace

std::expected<GraphEntry*, kernel::NamedError> GraphSet::create(const GraphSpec& spec,
                                                                const std::optional<sched::ServerParameters>& server) {
  if (find(spec.name) != nullptr) {
    return fail("graph-duplicate-name", "there is a graph '{}' already", spec.name);
  }
  if (size_ == kMaxGraphs) {
    return fail("graph-full", "graph '{}': there are {} graphs already, which is all there can be",
                kernel::escaped(spec.name.substr(0, kMaxGraphName)), size_);
  }
  if (server) {
    if (const auto checked = check_server(spec.name, *server); !checked) {
      return std::unexpected(checked.error());
    }
  }
  auto made = make(spec, server);
  if (!made) {
    return std::unexpected(made.error());
  }
  GraphEntry& entry = entries_[size_++];
  entry = *std::move(made);
  return &entry;
}

std::expected<GraphEntry, kernel::NamedError> GraphSet::make(const GraphSpec& spec,
                                                             const std::optional<sched::ServerParameters>& server) {
  GraphSpec numbered = spec;
  numbered.id = ++last_id_;
  auto graph = Graph::make(numbered, kinds_, schemas_);
  if (!graph) {
    return std::unexpected(graph.error());
  }
  std::unique_ptr<Runner> runner(new (std::nothrow) Runner(**graph, server));
  if (runner == nullptr) {
    return fail("graph-no-memory", "no memory for graph '{}'", spec.name);
  }
  return GraphEntry{.graph = *std::move(graph), .runner = std::move(runner)};
}

std::expected<GraphEntry*, kernel::NamedError> GraphSet::replace(const GraphSpec& spec) {
  GraphEntry* const entry = find(spec.name);
  if (entry == nullptr) {
    return create(spec, std::nullopt);
  }
  if (const auto idle = check_idle(*entry); !idle) {
    return std::unexpected(idle.error());
  }
  auto made = make(spec, std::nullopt);
  if (!made) {
    return std::unexpected(made.error());
  }
  entry->runner.reset();
  *entry = *std::move(made);
  return entry;
}

kernel::Outcome GraphSet::destroy(std::string_view name) {
  GraphEntry* const entry = find(name);
  if (entry == nullptr) {
    return fail("graph-unknown", "there is no graph '{}'", kernel::escaped(name.substr(0, kMaxGraphName)));
  }
  if (const auto idle = check_idle(*entry); !idle) {
    return idle;
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
