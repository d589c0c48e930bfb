// The graphs that there are, by name, each with what runs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>

#include "guest/graph/graph.hpp"
#include "guest/graph/run/runner.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::graph {

struct GraphEntry {
  std::unique_ptr<Graph> graph;
  std::unique_ptr<Runner> runner;  ///< destroyed first
};

/// In the control loop's thread.
class GraphSet {
 public:
  static constexpr std::size_t kMaxGraphs = 8;

  GraphSet() = default;
  GraphSet(const GraphSet&) = delete;
  GraphSet& operator=(const GraphSet&) = delete;

  [[nodiscard]] KindTable& kinds() { return kinds_; }
  [[nodiscard]] SchemaRegistry& schemas() { return schemas_; }

  /// `server`: what each CPU that the graph uses promises it; nothing: it runs best effort. Errors: those of
  /// Graph::make(), graph-duplicate-name, graph-full, graph-bad-server.
  std::expected<GraphEntry*, kernel::NamedError> create(const GraphSpec& spec,
                                                        const std::optional<sched::ServerParameters>& server);
  /// An empty graph in the place of the one of that name, which is destroyed, or as create() where there is none. All
  /// or nothing. Errors: those of create(), graph-busy (the old one runs).
  std::expected<GraphEntry*, kernel::NamedError> replace(const GraphSpec& spec);
  /// Errors: graph-unknown, graph-busy (it runs).
  kernel::Outcome destroy(std::string_view name);
  /// Null: there is none.
  [[nodiscard]] GraphEntry* find(std::string_view name);

  [[nodiscard]] std::size_t size() const { return size_; }
  /// In the order of creation.
  [[nodiscard]] GraphEntry& at(std::size_t index) { return entries_[index]; }

 private:
  std::expected<GraphEntry, kernel::NamedError> make(const GraphSpec& spec,
                                                     const std::optional<sched::ServerParameters>& server);

  KindTable kinds_;
  SchemaRegistry schemas_;
  GraphEntry entries_[kMaxGraphs];
  std::size_t size_ = 0;
  std::uint32_t last_id_ = 0;  ///< of the graphs that were made
};

/// The kernel's.
GraphSet& graph_set();

}  // namespace guest::graph
