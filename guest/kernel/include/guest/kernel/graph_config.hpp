// Schemas and graphs of the boot configuration (docs/boot-config.md).
//
// There may be more of them than static memory is worth: they are not part of BootConfig. read_scenario_tree() checks
// them, and visit_graphs() walks the tree again for whoever builds them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "abi/boot_config.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::kernel {

class Heap;

// Texts lie in the tree. Values are of the ranges that abi/boot_config.hpp states; what they mean together (ids that
// are there twice, channels that are not there) is the graph's to check.

struct SchemaConfig {
  std::string_view name;  ///< 1 to kMaxSchemaName of a-z 0-9 . _ -
  std::uint32_t id = 0;   ///< 0: the kernel chooses
};

struct GraphConfig {
  std::string_view name;
  std::uint64_t memory_bytes = 0;
  std::uint32_t tensors = 0;
  // Of its servers: 0 < budget <= deadline <= period, or all 0: best effort.
  std::uint64_t budget_ns = 0;
  std::uint64_t period_ns = 0;
  std::uint64_t deadline_ns = 0;
  bool soft = false;
  bool manual = false;      ///< does not start with the machine
  std::uint32_t steps = 0;  ///< 0: for ever
};

struct ChannelConfig {
  std::uint32_t id = 0;
  std::uint32_t capacity = 0;
  std::string_view policy = abi::boot_config::kPolicies[0];  ///< one of kPolicies
  std::string_view schema = {};                              ///< empty: none
};

struct ParameterConfig {
  std::string_view name;
  std::string_view value;
};

struct OperatorConfig {
  std::uint32_t id = 0;
  std::string_view name;
  std::string_view kind;
  std::string_view stage;  ///< one of kStages
  std::uint8_t priority = 0;
  std::uint64_t wcet_ns = 0;  ///< 0: not stated
  std::uint32_t cpu = 0;
  BoundedArray<std::uint32_t, abi::boot_config::kMaxPorts> inputs = {};
  BoundedArray<std::uint32_t, abi::boot_config::kMaxPorts> outputs = {};
  std::string_view in_schema = {};   ///< empty: none
  std::string_view out_schema = {};  ///< empty: none
  BoundedArray<ParameterConfig, abi::boot_config::kMaxParameters> parameters = {};
};

/// Is told of everything in the order in which it can be built: schemas first; then each graph, with its channels and
/// then its operators, and its end. An error ends the walk. What it is given lives as long as the call.
class GraphConfigVisitor {
 public:
  virtual Outcome schema(const SchemaConfig& config) = 0;
  virtual Outcome graph(const GraphConfig& config) = 0;
  virtual Outcome channel(const ChannelConfig& config) = 0;
  virtual Outcome operator_(const OperatorConfig& config) = 0;
  virtual Outcome end_graph() = 0;

 protected:
  ~GraphConfigVisitor() = default;
};

/// Walks a scenario tree, 8-byte aligned, that read_scenario_tree() has accepted. Errors: the visitor's; of a tree that
/// was not accepted, read_scenario_tree()'s, what came before having been visited.
Outcome visit_graphs(std::span<const std::byte> tree, GraphConfigVisitor& visitor);

/// The same for the tree of an archive that read_boot_config() has accepted, or an empty one: then there is nothing to
/// visit. The tree is copied through `heap` meanwhile. Error besides: config-no-memory.
Outcome visit_graphs(const Archive& archive, Heap& heap, GraphConfigVisitor& visitor);

}  // namespace guest::kernel
