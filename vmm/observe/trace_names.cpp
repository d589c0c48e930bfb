#include "vmm/observe/trace_names.hpp"

#include <charconv>
#include <optional>

#include "reply_fields.hpp"

namespace vmm::observe {
namespace {

std::optional<std::uint64_t> number_of(const std::string& key) {
  std::uint64_t number = 0;
  const char* const end = key.data() + key.size();
  const auto [rest, error] = std::from_chars(key.data(), end, number);
  return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

/// Null: `value` is no text that can be a name.
const std::string* name_of(const nlohmann::json& value) {
  const auto* const text = value.get_ptr<const std::string*>();
  return text == nullptr || text->empty() || text->size() > TraceNames::kMaxNameBytes ? nullptr : text;
}

/// The field "name" of an object.
const std::string* name_in(const nlohmann::json& facts) {
  const auto found = facts.is_object() ? facts.find("name") : facts.end();
  return facts.is_object() && found != facts.end() ? name_of(*found) : nullptr;
}

template <typename Map, typename Key>
void put(Map& names, const Key& key, const std::string& name) {
  if (names.size() < TraceNames::kMaxNames || names.contains(key)) names.insert_or_assign(key, name);
}

}  // namespace

void TraceNames::take(const nlohmann::json& reply) {
  take_names(reply, "threads", threads_);
  take_names(reply, "servers", servers_);
  take_names(reply, "ops", ops_);
  const auto* const graphs = object_in(reply, "graphs");
  if (graphs == nullptr) return;
  for (const auto& [key, graph] : graphs->items()) {
    if (const auto id = number_of(key)) take_graph(*id, graph);
  }
}

void TraceNames::take_names(const nlohmann::json& reply, const char* kind, Names& names) {
  const auto* const all = object_in(reply, kind);
  if (all == nullptr) return;
  for (const auto& [key, value] : all->items()) {
    const auto number = number_of(key);
    const std::string* const name = name_of(value);
    if (number && name != nullptr) put(names, *number, *name);
  }
}

void TraceNames::take_graph(std::uint64_t id, const nlohmann::json& graph) {
  if (const std::string* const name = name_in(graph)) put(graphs_, id, *name);
  const auto* const operators = object_in(graph, "operators");
  if (operators == nullptr) return;
  for (const auto& [key, facts] : operators->items()) {
    const auto number = number_of(key);
    const std::string* const name = name_in(facts);
    if (number && name != nullptr) put(operators_, std::pair(id, *number), *name);
  }
}

std::string TraceNames::find(const Names& names, std::uint64_t number, const char* otherwise) {
  const auto found = names.find(number);
  return found == names.end() ? otherwise + std::to_string(number) : found->second;
}

std::string TraceNames::graph_operator(std::uint64_t graph, std::uint64_t id) const {
  const auto found = operators_.find({graph, id});
  return found == operators_.end() ? "operator " + std::to_string(id) : found->second;
}

}  // namespace vmm::observe
