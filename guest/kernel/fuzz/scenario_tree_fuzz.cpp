// The scenario tree's reader: any bytes.
#include <bit>
#include <cstdint>
#include <cstdlib>

#include "abi/trace.hpp"
#include "aligned_copy.hpp"
#include "guest/kernel/boot_config.hpp"
#include "guest/kernel/graph_config.hpp"

namespace {

using namespace guest::kernel;
namespace names = abi::boot_config;

void expect(bool holds) {
  if (!holds) {
    std::abort();
  }
}

/// Holds what it is told against what graph_config.hpp promises.
class Checker final : public GraphConfigVisitor {
 public:
  Outcome schema(const SchemaConfig& config) override {
    expect(++schemas_ <= names::kMaxSchemas && !in_graph_ && graphs_ == 0);
    return name(config.name, names::kMaxSchemaName);
  }
  Outcome graph(const GraphConfig& config) override {
    expect(++graphs_ <= names::kMaxGraphs && !in_graph_);
    in_graph_ = true;
    channels_ = 0;
    operators_ = 0;
    expect(config.memory_bytes >= names::kMinGraphMemory && config.memory_bytes <= names::kMaxGraphMemory);
    expect(config.tensors >= 1 && config.tensors <= names::kMaxTensors && config.steps <= names::kMaxSteps);
    expect(config.budget_ns <= config.deadline_ns && config.deadline_ns <= config.period_ns);
    expect((config.budget_ns == 0) == (config.period_ns == 0) && config.period_ns <= names::kMaxPeriodNs);
    return name(config.name, names::kMaxGraphName);
  }
  Outcome channel(const ChannelConfig& config) override {
    expect(++channels_ <= names::kMaxChannels && in_graph_ && operators_ == 0);
    expect(config.id <= names::kMaxChannelId && config.capacity >= 1 && config.capacity <= names::kMaxChannelCapacity);
    expect(!config.policy.empty() && config.schema.size() <= names::kMaxSchemaName);
    return {};
  }
  Outcome operator_(const OperatorConfig& config) override {
    expect(++operators_ <= names::kMaxOperators && in_graph_);
    expect(config.id >= 1 && config.cpu < names::kMaxCpus && !config.kind.empty() && !config.stage.empty());
    for (const std::uint32_t id : config.inputs) {
      expect(id <= names::kMaxChannelId);
    }
    for (const ParameterConfig& parameter : config.parameters) {
      expect(!parameter.name.empty() && parameter.value.size() <= names::kMaxParameterText);
      expect(parameter.value.find('\0') == std::string_view::npos);
    }
    return name(config.name, names::kMaxItemName);
  }
  Outcome end_graph() override {
    expect(in_graph_);
    in_graph_ = false;
    return {};
  }
  [[nodiscard]] bool in_graph() const { return in_graph_; }

 private:
  static Outcome name(std::string_view text, std::size_t max_bytes) {
    expect(!text.empty() && text.size() <= max_bytes);
    return {};
  }

  bool in_graph_ = false;
  std::size_t schemas_ = 0;
  std::size_t graphs_ = 0;
  std::size_t channels_ = 0;
  std::size_t operators_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const AlignedCopy copy(data, size);
  BootConfig config;
  const Outcome outcome = read_scenario_tree(copy.span(), config);
  const bool holds_something = config.control_key || config.control_seed || !config.name.view().empty() ||
                               !config.servers.empty() || !config.tasks.empty() || config.llm.public_key ||
                               config.llm.allow_unsigned || !config.llm.models.empty() || config.observe.wanted ||
                               !config.autorun.view().empty();
  expect(outcome || (!outcome.error().name.empty() && !holds_something));
  const ObserveConfig& observe = config.observe;
  expect((observe.trace_events == 0) == (observe.trace_groups == 0) && observe.trace_groups <= abi::trace::kAllGroups);
  expect(observe.trace_events == 0 || std::has_single_bit(observe.trace_events));
  expect(config.autorun.view().empty() || config.autorun.view().back() == '\0');
  Checker checker;
  const Outcome visited = visit_graphs(copy.span(), checker);
  expect(visited ? !checker.in_graph() : !outcome && !visited.error().name.empty());
  return 0;
}
