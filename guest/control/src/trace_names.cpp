// trace names: what the numbers in the trace's events mean, for who draws them.
#include <algorithm>
#include <iterator>

#include "graph_common.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/tasks/task_set.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace {

/// Threads that an answer shows; more would not fit into a frame beside the rest.
constexpr std::size_t kMaxThreads = 256;

/// Keys of maps are texts.
class NumberKey {
 public:
  explicit NumberKey(std::uint64_t number) { kernel::format_to(text_, "{}", number); }
  [[nodiscard]] std::string_view view() const { return text_.view(); }

 private:
  kernel::FixedText<20> text_;
};

void add_threads(ResultMap& result) {
  ResultMap names(result.key_for("threads"));
  std::size_t shown = 0;
  for (threads::ThreadRef thread = threads::next_thread(0); thread && shown < kMaxThreads;
       thread = threads::next_thread(thread->id()), ++shown) {
    names.add(NumberKey(thread->id()).view(), thread->name());
  }
  names.finish();
}

void add_servers(ResultMap& result) {
  ResultMap names(result.key_for("servers"));
  const tasks::TaskSet& set = tasks::task_set();
  for (const tasks::Server* server = set.first_server(); server != nullptr; server = tasks::TaskSet::after(*server)) {
    names.add(NumberKey(server->id()).view(), server->name());
  }
  names.finish();
}

void add_graph(const graph::Graph& graph, CborWriter& writer) {
  ResultMap entry(writer);
  entry.add("name", graph.name());
  ResultMap operators(entry.key_for("operators"));
  for (const graph::Operator* const each : graph.operators()) {
    ResultMap facts(operators.key_for(NumberKey(each->id()).view()));
    facts.add("name", each->name());
    facts.add("kind", each->kind().name);
    facts.finish();
  }
  operators.finish();
  ResultMap channels(entry.key_for("channels"));
  for (const graph::Channel* const each : graph.channels()) {
    ResultMap facts(channels.key_for(NumberKey(each->id()).view()));
    facts.add("capacity", each->capacity());
    facts.finish();
  }
  channels.finish();
  entry.finish();
}

void add_graphs(const graph::Graph* only, ResultMap& result) {
  ResultMap names(result.key_for("graphs"));
  graph::GraphSet& set = graph::graph_set();
  for (std::size_t i = 0; i < set.size(); ++i) {
    const graph::Graph& graph = *set.at(i).graph;
    if (only == nullptr || only == &graph) {
      add_graph(graph, names.key_for(NumberKey(graph.id()).view()));
    }
  }
  names.finish();
}

void add_models(Services& services, ResultMap& result) {
  ResultMap names(result.key_for("models"));
  if (services.llm != nullptr) {
    static llm::ModelStatus models[16];  // in the control loop's thread, whose stack is small
    const std::size_t count = std::min(services.llm->service.models(models), std::size(models));
    for (std::size_t i = 0; i < count; ++i) {
      names.add(NumberKey(models[i].number).view(), models[i].id.view());
    }
  }
  names.finish();
}

void add_commands(ResultMap& result) {
  ResultMap names(result.key_for("ops"));
  std::uint64_t number = 0;
  for (const Command& command : command_table()) {
    names.add(NumberKey(number++).view(), command.name);
  }
  names.finish();
}

}  // namespace

HandlerResult handle_trace_names(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const graph::Graph* only = nullptr;
  if (arguments.has("graph")) {
    const auto entry = find_graph(arguments);
    if (!entry) {
      return std::unexpected(entry.error());
    }
    only = (*entry)->graph.get();
  } else {
    add_threads(result);
    add_servers(result);
    add_models(services, result);
    add_commands(result);
  }
  add_graphs(only, result);
  return Handled::Now;
}

}  // namespace guest::control
