// Builds the graphs of the boot configuration.
#pragma once

#include <optional>
#include <string_view>

#include "guest/graph/run/graph_set.hpp"
#include "guest/kernel/graph_config.hpp"

namespace guest::graph {

/// For kernel::visit_graphs(). A graph that is to start with the machine has been started when its end was visited, but
/// is paused: resume_graphs() lets it go on. Errors: graph-refused, with the graph, the reason's own name, and the
/// reason; what was built before it stays.
class GraphBuilder final : public kernel::GraphConfigVisitor {
 public:
  explicit GraphBuilder(GraphSet& graphs) : graphs_(graphs) {}

  kernel::Outcome schema(const kernel::SchemaConfig& config) override;
  kernel::Outcome graph(const kernel::GraphConfig& config) override;
  kernel::Outcome channel(const kernel::ChannelConfig& config) override;
  kernel::Outcome operator_(const kernel::OperatorConfig& config) override;
  kernel::Outcome end_graph() override;

 private:
  [[nodiscard]] kernel::Outcome refuse(const kernel::NamedError& why) const;
  std::expected<std::uint32_t, kernel::NamedError> find_schema(std::string_view name) const;

  GraphSet& graphs_;
  GraphEntry* entry_ = nullptr;  ///< of the graph that is built
  bool starts_ = false;
  std::uint64_t steps_ = Runner::kForEver;
  kernel::FixedText<kMaxGraphName> name_;
};

/// All that are paused. In the control loop's thread.
void resume_graphs(GraphSet& graphs);

}  // namespace guest::graph
