// Reads /observe and /autorun of the scenario tree: what is recorded, and what the kernel's shell runs by itself.
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/boot_config.hpp"
#include "property_reader.hpp"

namespace guest::kernel {

/// Whoever drives the cursor gives it the tokens of the nodes.
class ObserveReader final : private PropertyReader {
 public:
  ObserveReader(TreeCursor& cursor, BootConfig& out) : PropertyReader(cursor), out_(out) {}

  /// The node below the root that has this name is read here.
  static bool is_mine(std::string_view name) {
    return name == abi::boot_config::kObserveNode || name == abi::boot_config::kAutorunNode;
  }
  /// Within one: the next token is for this reader.
  [[nodiscard]] bool is_inside() const { return node_ != Node::Outside; }

  // Errors: tree-unknown-node, tree-unknown-property, tree-duplicate, tree-missing-property, tree-bad-value.
  Outcome begin_node();
  Outcome property() { return read_known(kKnown, *this, node_, seen_); }
  Outcome end_node();

 private:
  enum class Node : std::uint8_t { Outside, Observe, Autorun };
  struct Known {
    Node node;
    std::string_view name;
    Outcome (ObserveReader::*read)();
  };
  static const Known kKnown[];

  [[nodiscard]] std::string_view path() const override;
  Outcome read_metrics() {
    return number(8, out_.observe.metrics_ns, abi::boot_config::kMinMetricsNs, abi::boot_config::kMaxMetricsNs);
  }
  Outcome read_events();
  Outcome read_groups();
  Outcome read_lines();

  BootConfig& out_;
  Node node_ = Node::Outside;
  std::uint32_t nodes_seen_ = 0;  ///< bits by Node
  std::uint64_t seen_ = 0;
};

}  // namespace guest::kernel
