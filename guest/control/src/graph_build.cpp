// Making graphs.
#include <algorithm>
#include <charconv>

#include "graph_arguments.hpp"
#include "graph_common.hpp"

namespace guest::control {

namespace error = abi::control::error;

std::unexpected<Refusal> refuse_graph(const kernel::NamedError& error) {
  return refuse(error.name, "", "{}", error.detail.view());
}

std::expected<graph::GraphEntry*, Refusal> find_graph(const Arguments& arguments) {
  const std::string_view name = arguments.text("graph");
  graph::GraphEntry* const entry = graph::graph_set().find(name);
  if (entry == nullptr) {
    return refuse("graph-unknown", "graph", "there is no graph '{}'; 'graph list' lists them", kernel::escaped(name));
  }
  return entry;
}

std::expected<std::uint32_t, Refusal> find_schema(const Arguments& arguments, std::string_view argument) {
  if (!arguments.has(argument)) {
    return graph::kUntyped;
  }
  const std::string_view text = arguments.text(argument);
  const graph::SchemaRegistry& schemas = graph::graph_set().schemas();
  // A name may consist of digits: it goes before a number, so that what 'graph export' says is taken back as it was.
  if (const auto named = schemas.find(text)) {
    return *named;
  }
  std::uint32_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, id);
  if (failed == std::errc() && rest == end && !schemas.name_of(id).empty()) {
    return id;
  }
  return refuse("graph-unknown-schema", argument, "there is no schema '{}'; 'graph list' lists them",
                kernel::escaped(text));
}

namespace {

using Ids = kernel::BoundedArray<std::uint32_t, graph::kMaxPorts>;

/// "1,2,3"
std::expected<Ids, Refusal> parse_ids(const Arguments& arguments, std::string_view argument) {
  Ids ids;
  std::string_view left = arguments.text(argument);
  while (!left.empty()) {
    const std::size_t comma = left.find(',');
    const std::string_view text = left.substr(0, comma);
    std::uint32_t id = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, failed] = std::from_chars(text.data(), end, id);
    if (failed != std::errc() || rest != end || (comma != std::string_view::npos && comma + 1 == left.size())) {
      return refuse(error::kBadArgument, argument, "'{}': expected ids of channels, \"1,2\"",
                    kernel::escaped(arguments.text(argument)));
    }
    if (!ids.push_back(id)) {
      return refuse(error::kBadArgument, argument, "'{}': at most {} channels",
                    kernel::escaped(arguments.text(argument)), Ids::capacity());
    }
    left = comma == std::string_view::npos ? std::string_view() : left.substr(comma + 1);
  }
  return ids;
}

using Given = kernel::BoundedArray<graph::GivenParameter, graph::Parameters::kMaxParameters>;

/// "width=32,height=32"; a comma of a value has a backslash before it, and so has a backslash. What is given views into
/// `scratch`, which is at least as long as the text.
std::expected<Given, Refusal> parse_parameters(std::string_view text, std::span<char> scratch) {
  Given given;
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t from = at;
    const std::size_t start = used;
    std::size_t equals = std::string_view::npos;
    for (; at < text.size() && text[at] != ','; ++at) {
      if (text[at] == '\\') {
        ++at;
        if (at == text.size() || (text[at] != ',' && text[at] != '\\')) {
          return refuse(error::kBadArgument, "parameters", "'{}': behind a backslash expected ',' or another backslash",
                        kernel::escaped(text.substr(from, 40)));
        }
      }
      // Neither of the two that an escape stands for.
      if (text[at] == '=' && equals == std::string_view::npos) {
        equals = used - start;
      }
      scratch[used++] = text[at];
    }
    const bool ends_in_comma = at + 1 == text.size();
    const std::string_view one(scratch.data() + start, used - start);
    if (equals == std::string_view::npos || equals == 0 || ends_in_comma) {
      return refuse(error::kBadArgument, "parameters", "'{}': expected NAME=VALUE[,NAME=VALUE]...",
                    kernel::escaped(text.substr(from, ends_in_comma ? 40 : std::min<std::size_t>(at - from, 40))));
    }
    if (!given.push_back({.name = one.substr(0, equals), .value = one.substr(equals + 1)})) {
      return refuse(error::kBadArgument, "parameters", "at most {} parameters", Given::capacity());
    }
  }
  return given;
}

/// The budget, if there is one.
std::expected<std::optional<sched::ServerParameters>, Refusal> parse_server(const Arguments& arguments) {
  const auto is_given = [&](std::string_view name) { return arguments.has(name); };
  constexpr std::string_view kOfServer[] = {"budget_us", "period_us", "deadline_us", "reservation"};
  if (std::ranges::none_of(kOfServer, is_given)) {
    return std::nullopt;
  }
  for (const std::string_view name : {"budget_us", "period_us"}) {
    if (!is_given(name)) {
      return refuse(error::kMissingArgument, name, "{} is missing: a server has a budget_us and a period_us", name);
    }
  }
  const auto us = [&](std::string_view name, std::uint64_t fallback) {
    return static_cast<sched::Time>(arguments.number(name, fallback)) * 1000;
  };
  return sched::ServerParameters{
      .budget = us("budget_us", 0),
      .period = us("period_us", 0),
      .deadline = us("deadline_us", arguments.number("period_us")),
      .depletion = arguments.text("reservation") == "soft" ? sched::Depletion::Soft : sched::Depletion::Hard};
}

/// Only a graph that does not run may be changed.
std::expected<graph::Graph*, Refusal> find_idle_graph(const Arguments& arguments) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  if (const graph::RunState state = (*entry)->runner->report().state; state != graph::RunState::Idle) {
    return refuse("graph-busy", "graph", "graph '{}' is {}: stop it first", (*entry)->graph->name(), to_string(state));
  }
  return (*entry)->graph.get();
}

HandlerResult done(ResultMap& result, const graph::Graph& graph) {
  result.add("graph", graph.name());
  result.add("channels", graph.channels().size());
  result.add("operators", graph.operators().size());
  return Handled::Now;
}

graph::ChannelPolicy policy_of(std::string_view name) {
  return name == "drop-oldest"   ? graph::ChannelPolicy::DropOldest
         : name == "drop-newest" ? graph::ChannelPolicy::DropNewest
                                 : graph::ChannelPolicy::Block;
}

}  // namespace

HandlerResult handle_graph_create(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto server = parse_server(arguments);
  if (!server) {
    return std::unexpected(server.error());
  }
  graph::GraphSpec spec{.name = arguments.text("graph")};
  spec.memory_bytes = arguments.number("memory", spec.memory_bytes);
  spec.tensors = static_cast<std::uint32_t>(arguments.number("tensors", spec.tensors));
  const auto created = graph::graph_set().create(spec, *server);
  return created ? done(result, *(*created)->graph) : refuse_graph(created.error());
}

HandlerResult handle_graph_destroy(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  if (const auto entry = find_graph(arguments); !entry) {
    return std::unexpected(entry.error());
  }
  const auto destroyed = graph::graph_set().destroy(arguments.text("graph"));
  if (!destroyed) {
    return refuse_graph(destroyed.error());
  }
  result.add("graphs", graph::graph_set().size());
  return Handled::Now;
}

HandlerResult handle_graph_add_channel(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto graph = find_idle_graph(arguments);
  if (!graph) {
    return std::unexpected(graph.error());
  }
  const auto schema = find_schema(arguments, "schema");
  if (!schema) {
    return std::unexpected(schema.error());
  }
  const auto added = (*graph)->add_channel({.id = static_cast<std::uint32_t>(arguments.number("id")),
                                            .capacity = static_cast<std::uint32_t>(arguments.number("capacity")),
                                            .policy = policy_of(arguments.text("policy")),
                                            .schema = *schema});
  return added ? done(result, **graph) : refuse_graph(added.error());
}

HandlerResult handle_graph_add_operator(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto graph = find_idle_graph(arguments);
  if (!graph) {
    return std::unexpected(graph.error());
  }
  const auto inputs = parse_ids(arguments, "inputs");
  const auto outputs = parse_ids(arguments, "outputs");
  char scratch[kMaxParameterText];
  const auto parameters = parse_parameters(arguments.text("parameters"), scratch);
  const auto in_schema = find_schema(arguments, "in_schema");
  const auto out_schema = find_schema(arguments, "out_schema");
  if (!inputs || !outputs) {
    return std::unexpected(inputs ? outputs.error() : inputs.error());
  }
  if (!parameters) {
    return std::unexpected(parameters.error());
  }
  if (!in_schema || !out_schema) {
    return std::unexpected(in_schema ? out_schema.error() : in_schema.error());
  }
  const auto added =
      (*graph)->add_operator({.id = static_cast<std::uint32_t>(arguments.number("id")),
                              .name = arguments.text("name"),
                              .kind = arguments.text("kind"),
                              .priority = static_cast<std::uint8_t>(arguments.number("priority")),
                              .stage = graph::find_stage(arguments.text("stage")).value_or(graph::Stage::Acquire),
                              .wcet_ns = arguments.number("wcet_ns"),
                              .cpu = static_cast<std::uint32_t>(arguments.number("cpu")),
                              .inputs = {inputs->begin(), inputs->size()},
                              .outputs = {outputs->begin(), outputs->size()},
                              .in_schema = *in_schema,
                              .out_schema = *out_schema,
                              .parameters = {parameters->begin(), parameters->size()}});
  return added ? done(result, **graph) : refuse_graph(added.error());
}

HandlerResult handle_graph_schema(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  graph::SchemaRegistry& schemas = graph::graph_set().schemas();
  const std::string_view name = arguments.text("name");
  const auto id =
      arguments.has("id") ? schemas.add(name, static_cast<std::uint32_t>(arguments.number("id"))) : schemas.add(name);
  if (id) {
    result.add("name", name);
    result.add("id", *id);
    return Handled::Now;
  }
  switch (id.error()) {
    case kernel::Status::Exists:
      return refuse("graph-duplicate-schema", "id", "schema '{}' has another id, or {} another name",
                    kernel::escaped(name), arguments.number("id"));
    case kernel::Status::NoMemory:
      return refuse("graph-full", "", "there are {} schemas already", schemas.size());
    default:
      return refuse("graph-bad-name", "name", "'{}': expected 1 to {} of a-z 0-9 . _ -", kernel::escaped(name),
                    graph::SchemaRegistry::kMaxNameBytes);
  }
}

}  // namespace guest::control
