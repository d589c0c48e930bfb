#include "graphs_type.hpp"

#include "abi/boot_config.hpp"
#include "items.hpp"
#include "section.hpp"
#include "vmm/base/numbers.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;
using std::chrono_literals::operator""ns;

constexpr std::int64_t kMaxId = 0xffff'ffff;

/// A schema by its name, or by its id.
class SchemaNameType final : public Type<SchemaName> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, SchemaName& out) const override {
    if (node.kind != Node::Kind::Plain && node.kind != Node::Kind::Quoted) {
      problems.add(node.at, key, found(node), allowed());
    } else if (node.kind == Node::Kind::Plain && is_plain_integer(node.text)) {
      id_->read(problems, key, node, out.id);
    } else {
      name_->read(problems, key, node, out.name);
    }
  }
  [[nodiscard]] OrderedJson write(const SchemaName& value) const override { return name_->write(value.name); }
  [[nodiscard]] OrderedJson schema() const override {
    return {{"anyOf", OrderedJson::array({name_->schema(), id_->schema()})}};
  }
  [[nodiscard]] std::string allowed() const override { return "the name or the id of a schema"; }

  static TypePtr<std::string> name_type() {
    return text({.max_bytes = names::kMaxSchemaName, .pattern = "[a-z0-9._-]+", .words = "a name of a-z 0-9 . _ -"});
  }
  static TypePtr<unsigned> id_type() { return integer<unsigned>(1, kMaxId); }

 private:
  TypePtr<std::string> name_ = name_type();
  TypePtr<unsigned> id_ = id_type();
};

/// {name: integer or text, ...}, of which `file` is a path.
class ParametersType final : public Type<OperatorParameters> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, OperatorParameters& out) const override {
    if (node.kind != Node::Kind::Map || node.entries.size() > names::kMaxParameters) {
      problems.add(node.at, key,
                   node.kind == Node::Kind::Map ? "a map of " + std::to_string(node.entries.size()) : found(node),
                   allowed());
      return;
    }
    for (const Node::Entry& entry : node.entries) {
      const std::string path = key + '.' + entry.key;
      if (entry.key == names::kFileParameter) {
        file_->read(problems, path, entry.value, out.file);
      } else if (!is_name(entry.key)) {
        problems.add(entry.at, key, "the name " + quote(entry.key), name_->allowed());
      } else {
        read_value(problems, path, entry.value, out.values.emplace_back(entry.key, "").value);
      }
    }
  }

  /// A number stays one.
  [[nodiscard]] OrderedJson write(const OperatorParameters& value) const override {
    OrderedJson map = OrderedJson::object();
    for (const OperatorParameters::Value& each : value.values) {
      const auto number = as_number(each.value);
      map[each.name] = number ? OrderedJson(*number) : OrderedJson(each.value);
    }
    if (!value.file.empty()) map[names::kFileParameter] = value.file;
    return map.empty() ? OrderedJson() : map;
  }

  [[nodiscard]] OrderedJson schema() const override {
    return {{"type", "object"},
            {"maxProperties", names::kMaxParameters},
            {"propertyNames", name_->schema()},
            {"properties", {{names::kFileParameter, file_->schema()}}},
            {"additionalProperties", {{"anyOf", OrderedJson::array({{{"type", "integer"}}, text_->schema()})}}}};
  }
  [[nodiscard]] std::string allowed() const override {
    return "a map of at most " + std::to_string(names::kMaxParameters) + " names to integers or texts";
  }
  void document(const std::string& key, std::vector<OptionRow>& rows) const override {
    rows.push_back({key + '.' + names::kFileParameter, file_->allowed(), "",
                    "Of a kind that has this parameter: a file of at most 16 MiB, relative to the scenario's file. It "
                    "is put into the boot archive, and the operator is told its name there."});
  }

 private:
  [[nodiscard]] bool is_name(const std::string& key) const {
    Problems problems;
    std::string name;
    name_->read(problems, "", {.kind = Node::Kind::Quoted, .at = {}, .text = key, .items = {}, .entries = {}}, name);
    return problems.empty();
  }

  static std::optional<std::int64_t> as_number(const std::string& text) {
    return is_plain_integer(text) && text != "-0" ? parse_whole<std::int64_t>(text) : std::nullopt;
  }

  void read_value(Problems& problems, const std::string& key, const Node& node, std::string& out) const {
    if (node.kind == Node::Kind::Plain && as_number(node.text)) {
      out = node.text;
      return;
    }
    Problems ignored;
    text_->read(ignored, key, node, out);
    if (!ignored.empty()) {
      problems.add(node.at, key, found(node), "an integer of 64 bits, or " + text_->allowed());
    }
  }

  TypePtr<std::string> name_ = text(
      {.max_bytes = names::kMaxParameterName, .pattern = "[a-z0-9_]+", .words = "the name of a parameter (a-z 0-9 _)"});
  TypePtr<std::string> text_ =
      text({.max_bytes = names::kMaxParameterText, .pattern = R"([^\x00-\x1f\x7f]+)", .words = "one line of text"});
  TypePtr<std::string> file_ = path();
};

TypePtr<Channel> channel_type() {
  return section<Channel>({
      option("id", &Channel::id, integer<unsigned>(0, names::kMaxChannelId), "Unique in the graph.",
             Presence::Required),
      option("capacity", &Channel::capacity, integer<unsigned>(1, names::kMaxChannelCapacity),
             "How many tensors wait in it at most.", Presence::Required),
      option("policy", &Channel::policy,
             choice<ChannelPolicy>({{names::kPolicies[0], ChannelPolicy::Block},
                                    {names::kPolicies[1], ChannelPolicy::DropOldest},
                                    {names::kPolicies[2], ChannelPolicy::DropNewest}}),
             "What becomes of a tensor that is sent when it is full: its producer waits, the oldest one makes room, or "
             "it is dropped."),
      option("schema", &Channel::schema, TypePtr<SchemaName>(std::make_shared<SchemaNameType>()),
             "What it carries. Without it: what the first operator says that writes to it."),
  });
}

TypePtr<Operator> operator_type() {
  const auto ports = list(integer<unsigned>(0, names::kMaxChannelId), 0, names::kMaxPorts);
  const TypePtr<SchemaName> schema = std::make_shared<SchemaNameType>();
  const TypePtr<OperatorParameters> parameters = std::make_shared<ParametersType>();
  return section<Operator>({
      option("id", &Operator::id, integer<unsigned>(1, kMaxId), "Unique in the graph.", Presence::Required),
      option("name", &Operator::name, item_name(), "Name in reports, unique in the graph.", Presence::Required),
      option("kind", &Operator::kind,
             text({.max_bytes = names::kMaxKindName,
                   .pattern = "[a-z0-9.-]+",
                   .words = "the name of a kind (a-z 0-9 . -)"}),
             "What it does. The guest knows which kinds there are.", Presence::Required),
      option("stage", &Operator::stage,
             choice<Stage>({{names::kStages[0], Stage::Acquire},
                            {names::kStages[1], Stage::Clean},
                            {names::kStages[2], Stage::Explore},
                            {names::kStages[3], Stage::Model},
                            {names::kStages[4], Stage::Explain}}),
             "What it is for, in the order of a pipeline.", Presence::Required),
      option("priority", &Operator::priority, integer<unsigned>(0, names::kMaxPriority),
             "Where several could run, the one with the largest goes first."),
      option("wcet", &Operator::wcet, maybe(fine_duration(1ns, std::chrono::nanoseconds(names::kMaxPeriodNs))),
             "Processor time that an execution takes at most; one that takes more is counted as an overrun."),
      option("cpu", &Operator::cpu, cpu_number(), "Where it runs."),
      option("in", &Operator::in, ports, "Ids of the channels that it reads."),
      option("out", &Operator::out, ports, "Ids of the channels that it writes."),
      option("in_schema", &Operator::in_schema, schema, "Of its inputs. Without it: whatever they carry."),
      option("out_schema", &Operator::out_schema, schema, "Of its outputs. Without it: whatever they carry."),
      option("parameters", &Operator::parameters, parameters,
             "Of its kind, by name. Values are integers or texts; the guest checks them."),
  });
}

TypePtr<GraphServer> graph_server_type() {
  return section<GraphServer>(
      {
          option("budget", &GraphServer::budget, budget_type(), "Processor time in each period.", Presence::Required),
          option("period", &GraphServer::period, period_type(), "How often the budget comes anew.", Presence::Required),
          option("deadline", &GraphServer::deadline, maybe(budget_type()),
                 "By when after the start of a period the budget is to be had. Without it: the period."),
          option("reservation", &GraphServer::reservation,
                 choice<Reservation>({{"hard", Reservation::Hard}, {"soft", Reservation::Soft}}),
                 "hard: without budget the graph waits for the next period. soft: it goes on, with a later deadline."),
      },
      [](Problems& problems, const std::string& key, const Node& node, const GraphServer& server) {
        check_promise(
            problems, key, node,
            {.budget = server.budget, .period = server.period, .deadline = server.deadline.value_or(server.period)});
      });
}

}  // namespace

TypePtr<std::vector<Schema>> schemas_type() {
  return list(section<Schema>({
                  option("name", &Schema::name, SchemaNameType::name_type(), "Unique; not text and not tokens.",
                         Presence::Required),
                  option("id", &Schema::id, maybe(SchemaNameType::id_type()),
                         "Unique; not 1001 (text) and not 1002 (tokens). Without it: the kernel chooses."),
              }),
              0, names::kMaxSchemas);
}

TypePtr<std::vector<Graph>> graphs_type() {
  const auto graph = section<Graph>(
      {
          option("name", &Graph::name, item_name(names::kMaxGraphName), "Name in reports, unique.", Presence::Required),
          option("memory", &Graph::memory_bytes,
                 size(names::kMinGraphMemory, names::kMaxGraphMemory, names::kGraphMemoryUnit),
                 "For its tensors and the books on them."),
          option("tensors", &Graph::tensors, integer<unsigned>(1, names::kMaxTensors),
                 "How many there may be at a time."),
          option("server", &Graph::server, maybe(graph_server_type()),
                 "A promise of processor time, on each CPU that the graph uses. Without it: best effort."),
          option("start", &Graph::start,
                 choice<GraphStart>({{"auto", GraphStart::Auto}, {"manual", GraphStart::Manual}}),
                 "auto: with the machine. manual: when it is told \"graph start\"."),
          option("steps", &Graph::steps, maybe(integer<unsigned>(1, names::kMaxSteps)),
                 "How often each source is executed. Without it: as long as the machine runs."),
          option("channels", &Graph::channels, list(channel_type(), 0, names::kMaxChannels),
                 "Queues of tensors, each from one operator to one operator."),
          option("operators", &Graph::operators, list(operator_type(), 1, names::kMaxOperators),
                 "What makes, changes and uses tensors.", Presence::Required),
      },
      check_graph);
  return list(graph, 0, names::kMaxGraphs);
}

}  // namespace vmm::scenario
