// What the commands of graphs share.
#pragma once

#include "guest/graph/run/graph_set.hpp"
#include "handlers.hpp"

namespace guest::control {

/// A graph's error as a command's: its name is the code.
std::unexpected<Refusal> refuse_graph(const kernel::NamedError& error);
/// The graph that the argument `graph` names.
std::expected<graph::GraphEntry*, Refusal> find_graph(const Arguments& arguments);
/// "graph", "state", "end" and so on: what is going on with it.
void add_run(ResultMap& result, const graph::GraphEntry& entry);
/// The number of a schema, by its name or as digits.
std::expected<std::uint32_t, Refusal> find_schema(const Arguments& arguments, std::string_view argument);
/// "depth", "high_water" and so on: what was counted of a channel.
void add_metrics(ResultMap& result, const graph::Channel& channel);
void add_signed(CborWriter& writer, std::int64_t value);
/// What the graph consists of, in the order in which it was made.
void add_structure(ResultMap& result, const graph::GraphEntry& entry);

}  // namespace guest::control
