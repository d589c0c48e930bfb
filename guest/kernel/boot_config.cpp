#include "guest/kernel/boot_config.hpp"

#include <algorithm>
#include <cstring>

#include "graph_reader.hpp"
#include "llm_reader.hpp"
#include "observe_reader.hpp"
#include "property_reader.hpp"
#include "tree_cursor.hpp"

namespace guest::kernel {
namespace {

namespace names = abi::boot_config;
using Bytes = std::span<const std::byte>;

enum class Node : std::uint8_t { Root, Boot, Control, Scheduler, Server, Tasks, Task };

class ScenarioReader final : private PropertyReader {
 public:
  ScenarioReader(TreeCursor& cursor, BootConfig& out)
      : PropertyReader(cursor), out_(out), graphs_(cursor, nullptr), llm_(cursor, out.llm), observe_(cursor, out) {}

  Outcome read() {
    for (;;) {
      Outcome outcome;
      switch (cursor_.next()) {
        case TreeToken::BeginNode:
          outcome = is_of_graphs()    ? graphs_.begin_node()
                    : is_of_llm()     ? llm_.begin_node()
                    : is_of_observe() ? observe_.begin_node()
                                      : begin_node();
          break;
        case TreeToken::Property:
          outcome = graphs_.is_inside()    ? graphs_.property()
                    : llm_.is_inside()     ? llm_.property()
                    : observe_.is_inside() ? observe_.property()
                                           : property();
          break;
        case TreeToken::EndNode:
          outcome = graphs_.is_inside()    ? graphs_.end_node()
                    : llm_.is_inside()     ? llm_.end_node()
                    : observe_.is_inside() ? observe_.end_node()
                                           : end_node();
          break;
        case TreeToken::End:
          return finish();
        case TreeToken::Error:
          return std::unexpected(cursor_.error());
      }
      if (!outcome) {
        return outcome;
      }
    }
  }

 private:
  /// One known property; its bit in what was seen is its position in kKnown.
  struct Known {
    Node node;
    std::string_view name;
    Outcome (ScenarioReader::*read)();
  };
  static const Known kKnown[];

  static std::string_view path(Node node) {
    constexpr std::string_view kPaths[] = {"/", "/boot", "/control", "/scheduler", "a server", "/tasks", "a task"};
    return kPaths[static_cast<std::size_t>(node)];
  }
  [[nodiscard]] std::string_view path() const override { return path(node_); }

  /// The node that begins is read by graphs_.
  [[nodiscard]] bool is_of_graphs() const {
    return graphs_.is_inside() || (cursor_.depth() == 2 && GraphReader::is_mine(cursor_.node_name()));
  }

  [[nodiscard]] bool is_of_llm() const {
    return llm_.is_inside() || (cursor_.depth() == 2 && LlmReader::is_mine(cursor_.node_name()));
  }

  [[nodiscard]] bool is_of_observe() const {
    return observe_.is_inside() || (cursor_.depth() == 2 && ObserveReader::is_mine(cursor_.node_name()));
  }

  Outcome begin_node() {
    if (cursor_.depth() == 1) {
      return {};
    }
    const std::string_view name = cursor_.node_name();
    if (cursor_.depth() == 3 && node_ == Node::Scheduler) {
      return begin_item(Node::Server, names::kServerNode, out_.servers);
    }
    if (cursor_.depth() == 3 && node_ == Node::Tasks) {
      return begin_item(Node::Task, names::kTaskNode, out_.tasks);
    }
    constexpr struct {
      std::string_view name;
      Node node;
    } kNodes[] = {{names::kBootNode, Node::Boot},
                  {names::kControlNode, Node::Control},
                  {names::kSchedulerNode, Node::Scheduler},
                  {names::kTasksNode, Node::Tasks}};
    for (const auto& known : kNodes) {
      if (cursor_.depth() == 2 && name == known.name) {
        node_ = known.node;
        const auto bit = std::uint32_t{1} << static_cast<unsigned>(node_);
        if ((nodes_seen_ & bit) != 0) {
          return fail("tree-duplicate", "node {} is there twice", path());
        }
        nodes_seen_ |= bit;
        return {};
      }
    }
    return unknown_node();
  }

  /// The next server or task: they are numbered from 0.
  template <typename Items>
  Outcome begin_item(Node node, std::string_view prefix, Items& items) {
    if (const Outcome numbered = check_numbered(prefix, items.size()); !numbered) {
      return numbered;
    }
    if (!items.push_back({})) {
      return fail("tree-bad-value", "more than {} nodes in {}", items.capacity(), path());
    }
    node_ = node;
    item_seen_ = 0;
    return {};
  }

  Outcome end_node() {
    const Node ended = node_;
    node_ = ended == Node::Server ? Node::Scheduler : ended == Node::Task ? Node::Tasks : Node::Root;
    return ended == Node::Server ? end_server() : ended == Node::Task ? end_task() : Outcome();
  }

  Outcome property() {
    const bool of_item = node_ == Node::Server || node_ == Node::Task;
    return read_known(kKnown, *this, node_, of_item ? item_seen_ : seen_);
  }

  Outcome read_compatible() {
    const auto value = text();
    if (!value || *value != names::kCompatible) {
      return fail("tree-bad-compatible", "'{}', expected '{}'",
                  escaped(value ? value->substr(0, 64) : std::string_view("(not a text)")),
                  std::string_view(names::kCompatible));
    }
    compatible_ = true;
    return {};
  }

  Outcome read_name() {
    const auto value = text();
    if (!value) {
      return std::unexpected(value.error());
    }
    if (value->empty() || value->size() > BootConfig::kMaxName) {
      return bad_value("1 to 128 characters");
    }
    out_.name.write(*value);
    return {};
  }

  Outcome read_unix_time() {
    if (cursor_.value().size() != 8) {
      return bad_value("8 bytes");
    }
    out_.unix_time_ns = read_be64(cursor_.value().data());
    return {};
  }

  Outcome read_verbosity() {
    const auto value = text();
    Verbosity verbosity{};
    if (!value || !parse_verbosity(*value, verbosity)) {
      return bad_value("'quiet', 'info' or 'debug'");
    }
    out_.verbosity = verbosity;
    return {};
  }

  Outcome read_secret(std::optional<std::array<std::uint8_t, 32>>& out) {
    const Bytes bytes = cursor_.value();
    std::array<std::uint8_t, 32> secret{};
    if (bytes.size() != secret.size()) {
      return bad_value("32 bytes");
    }
    std::transform(bytes.begin(), bytes.end(), secret.begin(),
                   [](std::byte b) { return static_cast<std::uint8_t>(b); });
    out = secret;
    return {};
  }
  Outcome read_key() { return read_secret(out_.control_key); }
  Outcome read_seed() { return read_secret(out_.control_seed); }

  Outcome read_test_services() {
    if (!cursor_.value().empty()) {
      return bad_value("no value");
    }
    out_.test_services = true;
    return {};
  }

  Outcome read_legacy_socket() {
    if (!cursor_.value().empty()) {
      return bad_value("no value");
    }
    out_.legacy_socket = true;
    return {};
  }

  Outcome set_name(FixedText<names::kMaxItemName>& out) {
    const Text value = item_name();
    if (!value) {
      return std::unexpected(value.error());
    }
    out.write(*value);
    return {};
  }

  ServerConfig& server() { return out_.servers[out_.servers.size() - 1]; }
  TaskConfig& task() { return out_.tasks[out_.tasks.size() - 1]; }

  Outcome read_bound() { return small(out_.bound_ppm, 1, names::kWholeCpuPpm); }
  Outcome read_manual() {
    out_.manual_start = true;
    return flag();
  }
  Outcome read_server_name() { return set_name(server().name); }
  Outcome read_server_budget() { return time(server().budget_ns); }
  Outcome read_server_period() { return time(server().period_ns); }
  Outcome read_server_deadline() { return time(server().deadline_ns); }
  Outcome read_server_cpu() { return small(server().cpu, 0, names::kMaxCpus - 1); }
  Outcome read_server_soft() {
    server().soft = true;
    return flag();
  }
  Outcome read_server_reclaim() {
    server().reclaim = true;
    return flag();
  }
  Outcome read_task_name() { return set_name(task().name); }
  Outcome read_task_server() { return small(task().server, 0, names::kMaxServers - 1); }
  Outcome read_task_cpu() { return small(task().cpu, 0, names::kMaxCpus - 1); }
  Outcome read_task_period() { return time(task().period_ns); }
  Outcome read_task_work() { return time(task().work_ns); }
  Outcome read_task_offset() { return time(task().offset_ns, 0); }
  Outcome read_task_deadline() { return time(task().deadline_ns); }
  Outcome read_task_jobs() { return small(task().jobs, 1, ~std::uint32_t{0}); }
  Outcome read_task_greedy() {
    task().kind = TaskConfig::Kind::Greedy;
    return flag();
  }
  Outcome read_task_start() { return time(task().start_ns, 0); }
  Outcome read_task_length() { return time(task().length_ns); }
  Outcome read_task_program() {
    const auto value = text();
    if (!value || value->empty() || value->size() > names::kMaxProgramName) {
      return bad_value("1 to 64 characters");
    }
    task().program.write(*value);
    return {};
  }
  Outcome read_task_arguments() {
    const Bytes bytes = cursor_.value();
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
    const auto count = static_cast<std::size_t>(std::count(all.begin(), all.end(), '\0'));
    if (all.empty() || all.back() != '\0' || count > names::kMaxArguments || all.size() > names::kMaxArgumentBytes) {
      return bad_value("1 to 15 texts, each ended by a NUL, of at most 512 bytes in all");
    }
    task().arguments.write(all);
    return {};
  }
  Outcome read_task_memory() {
    const Outcome outcome = number(8, task().memory_bytes, names::kMinTaskMemory, names::kMaxTaskMemory);
    return outcome && task().memory_bytes % names::kTaskMemoryUnit != 0 ? bad_value("whole pages of 4096 bytes")
                                                                        : outcome;
  }

  Outcome read_task_llm_model() {
    const Text value = item_name();
    if (!value) {
      return std::unexpected(value.error());
    }
    task().llm_model.write(*value);
    return {};
  }
  Outcome read_task_llm_max_tokens() { return small(task().llm_max_tokens, 1, names::kMaxTaskLlmTokens); }
  Outcome read_task_llm_rights() { return small(task().llm_rights, 1, 3); }

  /// What a missing property would have been.
  static Outcome missing(std::string_view what, std::string_view of, std::size_t index) {
    return fail("tree-missing-property", "'{}' of {} {}", what, of, index);
  }

  Outcome end_server() {
    const ServerConfig& read = server();
    const std::size_t index = out_.servers.size() - 1;
    if (read.name.view().empty()) {
      return missing(names::kItemName, "server", index);
    }
    if (read.budget_ns == 0 || read.period_ns == 0 || read.deadline_ns == 0) {
      return missing(read.budget_ns == 0   ? names::kBudgetNs
                     : read.period_ns == 0 ? names::kPeriodNs
                                           : names::kDeadlineNs,
                     "server", index);
    }
    if (read.budget_ns > read.deadline_ns || read.deadline_ns > read.period_ns) {
      return fail("tree-bad-value", "server {}: budget {}, deadline {}, period {}: each at most the next", index,
                  read.budget_ns, read.deadline_ns, read.period_ns);
    }
    return {};
  }

  Outcome end_task() {
    TaskConfig& read = task();
    const std::size_t index = out_.tasks.size() - 1;
    const bool periodic =
        read.period_ns != 0 || read.work_ns != 0 || read.deadline_ns != 0 || read.offset_ns != 0 || read.jobs != 0;
    const bool greedy = read.kind == TaskConfig::Kind::Greedy;
    const bool program = !read.program.view().empty() || !read.arguments.view().empty() || read.memory_bytes != 0 ||
                         !read.llm_model.view().empty() || read.llm_max_tokens != 0 || read.llm_rights != 0;
    if (read.name.view().empty()) {
      return missing(names::kItemName, "task", index);
    }
    if (int{periodic} + int{greedy} + int{program} != 1) {
      return fail("tree-bad-value", "task {}: expected one of '{}', '{}' and '{}'", index,
                  std::string_view(names::kPeriodNs), std::string_view(names::kGreedy),
                  std::string_view(names::kProgram));
    }
    if (read.server && read.cpu) {
      return fail("tree-bad-value", "task {}: a CPU beside a server", index);
    }
    if (!greedy && (read.start_ns != 0 || read.length_ns != 0)) {
      return fail("tree-bad-value", "task {}: '{}' or '{}' of a task that is not '{}'", index,
                  std::string_view(names::kStartNs), std::string_view(names::kLengthNs),
                  std::string_view(names::kGreedy));
    }
    return periodic ? end_periodic(read, index) : program ? end_program(read, index) : Outcome();
  }

  static Outcome end_program(TaskConfig& read, std::size_t index) {
    read.kind = TaskConfig::Kind::Program;
    if (read.program.view().empty() || read.memory_bytes == 0) {
      return missing(read.memory_bytes == 0 ? names::kMemoryBytes : names::kProgram, "task", index);
    }
    const bool any = !read.llm_model.view().empty() || read.llm_max_tokens != 0 || read.llm_rights != 0;
    if (any && (read.llm_model.view().empty() || read.llm_max_tokens == 0 || read.llm_rights == 0)) {
      return missing(read.llm_model.view().empty() ? names::kTaskLlmModel
                     : read.llm_max_tokens == 0    ? names::kTaskLlmMaxTokens
                                                   : names::kTaskLlmRights,
                     "task", index);
    }
    return {};
  }

  static Outcome end_periodic(TaskConfig& read, std::size_t index) {
    read.kind = TaskConfig::Kind::Periodic;
    if (read.period_ns == 0 || read.work_ns == 0 || read.deadline_ns == 0) {
      return missing(read.period_ns == 0 ? names::kPeriodNs
                     : read.work_ns == 0 ? names::kWorkNs
                                         : names::kDeadlineNs,
                     "task", index);
    }
    return {};
  }

  [[nodiscard]] Outcome finish() const {
    if (!compatible_) {
      return fail("tree-missing-property", "'compatible' of /");
    }
    if ((nodes_seen_ & (1U << static_cast<unsigned>(Node::Control))) != 0 && !out_.control_key) {
      return fail("tree-missing-property", "'{}' of /control", std::string_view(names::kControlKey));
    }
    for (std::size_t i = 0; i < out_.tasks.size(); ++i) {
      if (out_.tasks[i].server && *out_.tasks[i].server >= out_.servers.size()) {
        return fail("tree-bad-value", "task {}: there is no server {}", i, *out_.tasks[i].server);
      }
    }
    if (out_.llm.server && *out_.llm.server >= out_.servers.size()) {
      return fail("tree-bad-value", "/{}: there is no server {}", std::string_view(names::kLlmNode), *out_.llm.server);
    }
    return {};
  }

  BootConfig& out_;
  GraphReader graphs_;
  LlmReader llm_;
  ObserveReader observe_;
  Node node_ = Node::Root;
  std::uint64_t seen_ = 0;
  std::uint64_t item_seen_ = 0;   ///< of the server or task that is read
  std::uint32_t nodes_seen_ = 0;  ///< bits by Node
  bool compatible_ = false;
};

const ScenarioReader::Known ScenarioReader::kKnown[] = {
    {Node::Root, "compatible", &ScenarioReader::read_compatible},
    {Node::Root, names::kName, &ScenarioReader::read_name},
    {Node::Root, names::kUnixTimeNs, &ScenarioReader::read_unix_time},
    {Node::Boot, names::kVerbosity, &ScenarioReader::read_verbosity},
    {Node::Control, names::kControlKey, &ScenarioReader::read_key},
    {Node::Control, names::kControlSeed, &ScenarioReader::read_seed},
    {Node::Control, names::kControlTestServices, &ScenarioReader::read_test_services},
    {Node::Control, names::kControlLegacySocket, &ScenarioReader::read_legacy_socket},
    {Node::Scheduler, names::kBoundPpm, &ScenarioReader::read_bound},
    {Node::Scheduler, names::kManual, &ScenarioReader::read_manual},
    {Node::Server, names::kItemName, &ScenarioReader::read_server_name},
    {Node::Server, names::kBudgetNs, &ScenarioReader::read_server_budget},
    {Node::Server, names::kPeriodNs, &ScenarioReader::read_server_period},
    {Node::Server, names::kDeadlineNs, &ScenarioReader::read_server_deadline},
    {Node::Server, names::kCpu, &ScenarioReader::read_server_cpu},
    {Node::Server, names::kSoft, &ScenarioReader::read_server_soft},
    {Node::Server, names::kReclaim, &ScenarioReader::read_server_reclaim},
    {Node::Task, names::kItemName, &ScenarioReader::read_task_name},
    {Node::Task, names::kTaskServer, &ScenarioReader::read_task_server},
    {Node::Task, names::kCpu, &ScenarioReader::read_task_cpu},
    {Node::Task, names::kPeriodNs, &ScenarioReader::read_task_period},
    {Node::Task, names::kWorkNs, &ScenarioReader::read_task_work},
    {Node::Task, names::kOffsetNs, &ScenarioReader::read_task_offset},
    {Node::Task, names::kDeadlineNs, &ScenarioReader::read_task_deadline},
    {Node::Task, names::kJobs, &ScenarioReader::read_task_jobs},
    {Node::Task, names::kGreedy, &ScenarioReader::read_task_greedy},
    {Node::Task, names::kStartNs, &ScenarioReader::read_task_start},
    {Node::Task, names::kLengthNs, &ScenarioReader::read_task_length},
    {Node::Task, names::kProgram, &ScenarioReader::read_task_program},
    {Node::Task, names::kArguments, &ScenarioReader::read_task_arguments},
    {Node::Task, names::kMemoryBytes, &ScenarioReader::read_task_memory},
    {Node::Task, names::kTaskLlmModel, &ScenarioReader::read_task_llm_model},
    {Node::Task, names::kTaskLlmMaxTokens, &ScenarioReader::read_task_llm_max_tokens},
    {Node::Task, names::kTaskLlmRights, &ScenarioReader::read_task_llm_rights},
    {Node::Root, {}, nullptr},
};

}  // namespace

void BootConfig::reset() {
  static_cast<BootValues&>(*this) = {};
  servers.clear();
  tasks.clear();
  llm.wanted = false;
  llm.public_key.reset();
  llm.allow_unsigned = false;
  llm.models.clear();
  llm.server.reset();
  llm.limits = {};
  llm.classes.clear();
  autorun.clear();
}

Outcome read_scenario_tree(std::span<const std::byte> tree, BootConfig& out) {
  out.reset();
  if (tree.size() > names::kMaxTreeBytes) {
    return fail("tree-too-large", "{} bytes, at most {}", tree.size(), names::kMaxTreeBytes);
  }
  TreeCursor cursor;
  Outcome outcome = cursor.open(tree);
  if (outcome) {
    outcome = ScenarioReader(cursor, out).read();
  }
  if (!outcome) {
    out.reset();
  }
  return outcome;
}

}  // namespace guest::kernel
