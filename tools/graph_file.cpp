#include "tools/graph_file.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "tools/json_input.hpp"
#include "tools/text.hpp"
#include "vmm/base/file.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
constexpr int kMaxDepth = 8;  ///< a graph has 4

Failure usage(const std::string& message) {
  return {.exit_code = ExitCode::Usage, .kind = "usage", .message = message};
}

enum class Type : std::uint8_t { Number, Text, Ids, Parameters };
struct Key {
  std::string_view name;
  Type type;
  bool required = false;
};

std::string_view name_of(Type type) {
  switch (type) {
    case Type::Number:
      return "an integer of 0 or more";
    case Type::Text:
      return "a text";
    case Type::Ids:
      return "an array of integers";
    case Type::Parameters:
      return "an object of integers and texts, their names without '=' and ','";
  }
  return "";
}

/// What can be said in the text "name=value,name=value".
bool is_parameter(const std::string& name, const json& value) {
  return !name.empty() && name.find_first_of("=,\\") == std::string::npos &&
         (value.is_number_integer() || value.is_string());
}

/// As a value of that text has it.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

bool are_parameters(const json& value) {
  if (!value.is_object()) return false;
  for (const auto& [name, inner] : value.items()) {
    if (!is_parameter(name, inner)) return false;
  }
  return true;
}

bool has_type(const json& value, Type type) {
  switch (type) {
    case Type::Number:
      return value.is_number_unsigned();
    case Type::Text:
      return value.is_string();
    case Type::Ids:
      return value.is_array() && std::ranges::all_of(value, [](const json& id) { return id.is_number_unsigned(); });
    case Type::Parameters:
      return are_parameters(value);
  }
  return false;
}

/// As the guest's commands take it: lists are texts there.
json argument_of(const json& value, Type type) {
  std::string text;
  if (type == Type::Ids) {
    for (const json& id : value) text += (text.empty() ? "" : ",") + id.dump();
    return text;
  }
  if (type == Type::Parameters) {
    for (const auto& [name, inner] : value.items()) {
      text += (text.empty() ? "" : ",") + name + "=" +
              (inner.is_string() ? escaped(inner.get<std::string>()) : inner.dump());
    }
    return text;
  }
  return value;
}

/// The entries of `object` as arguments of a request; `place` is where it is in the file.
Outcome<json> arguments_of(const json& object, const std::string& place, std::initializer_list<Key> keys) {
  if (!object.is_object()) return std::unexpected(usage(place + ": expected an object"));
  json args = json::object();
  for (const auto& [name, value] : object.items()) {
    const auto* const key = std::ranges::find(keys, name, &Key::name);
    if (key == keys.end()) return std::unexpected(usage(place + ": unknown key '" + printable(name) + "'"));
    if (!has_type(value, key->type)) {
      return std::unexpected(
          usage(std::string(place).append(".").append(name).append(": expected ").append(name_of(key->type))));
    }
    args[name] = argument_of(value, key->type);
  }
  for (const Key& key : keys) {
    if (key.required && !args.contains(key.name)) {
      return std::unexpected(usage(place + ": '" + std::string(key.name) + "' is missing"));
    }
  }
  return args;
}

class Reader {
 public:
  Outcome<GraphRequests> read(json graph) {
    if (!graph.is_object()) return std::unexpected(usage("expected an object, as 'sisctl graph export' writes it"));
    const auto channels = take(graph, "channels");
    const auto operators = take(graph, "operators");
    const auto schemas = take(graph, "schemas");
    const auto server = take(graph, "server");
    auto create = arguments_of(graph, "graph",
                               {{.name = "name", .type = Type::Text, .required = true},
                                {.name = "memory", .type = Type::Number},
                                {.name = "tensors", .type = Type::Number}});
    if (!create) return std::unexpected(create.error());
    result_.graph = (*create)["name"].get<std::string>();
    create->erase("name");
    if (server) {
      auto budget = arguments_of(*server, "server",
                                 {{.name = "budget_us", .type = Type::Number, .required = true},
                                  {.name = "period_us", .type = Type::Number, .required = true},
                                  {.name = "deadline_us", .type = Type::Number},
                                  {.name = "reservation", .type = Type::Text}});
      if (!budget) return std::unexpected(budget.error());
      create->update(*budget);
    }
    for (const auto& done :
         {add_all(schemas, "schemas", "graph schema",
                  {{.name = "name", .type = Type::Text, .required = true}, {.name = "id", .type = Type::Number}}),
          add("graph create", std::move(*create)),
          add_all(channels, "channels", "graph add-channel",
                  {{.name = "id", .type = Type::Number, .required = true},
                   {.name = "capacity", .type = Type::Number, .required = true},
                   {.name = "policy", .type = Type::Text},
                   {.name = "schema", .type = Type::Text}}),
          add_all(operators, "operators", "graph add-operator",
                  {{.name = "id", .type = Type::Number, .required = true},
                   {.name = "name", .type = Type::Text, .required = true},
                   {.name = "kind", .type = Type::Text, .required = true},
                   {.name = "priority", .type = Type::Number},
                   {.name = "stage", .type = Type::Text},
                   {.name = "wcet_ns", .type = Type::Number},
                   {.name = "cpu", .type = Type::Number},
                   {.name = "inputs", .type = Type::Ids},
                   {.name = "outputs", .type = Type::Ids},
                   {.name = "in_schema", .type = Type::Text},
                   {.name = "out_schema", .type = Type::Text},
                   {.name = "parameters", .type = Type::Parameters}})}) {
      if (!done) return std::unexpected(done.error());
    }
    return std::move(result_);
  }

 private:
  static std::optional<json> take(json& object, const std::string& name) {
    const auto found = object.find(name);
    if (found == object.end()) return std::nullopt;
    json value = std::move(*found);
    object.erase(found);
    return value;
  }

  Outcome<void> add(const std::string& op, json args) {
    if (op != "graph schema") args["graph"] = result_.graph;
    result_.requests.push_back({.op = op, .args = std::move(args)});
    return {};
  }

  Outcome<void> add_all(const std::optional<json>& items, const std::string& name, const std::string& op,
                        std::initializer_list<Key> keys) {
    if (!items) return {};
    if (!items->is_array()) return std::unexpected(usage(name + ": expected an array"));
    for (std::size_t i = 0; i < items->size(); ++i) {
      auto args = arguments_of((*items)[i], name + "[" + std::to_string(i) + "]", keys);
      if (!args) return std::unexpected(args.error());
      (void)add(op, std::move(*args));
    }
    return {};
  }

  GraphRequests result_;
};

}  // namespace

Outcome<GraphRequests> parse_graph(const std::string& text) {
  auto graph = parse_json(text, kMaxDepth);
  if (!graph) return std::unexpected(usage(graph.error()));
  return Reader().read(std::move(*graph));
}

Outcome<GraphRequests> read_graph_file(const std::string& path) {
  const auto text = vmm::read_file(path, kMaxFileBytes);
  if (!text) return std::unexpected(usage(printable(text.error().message)));
  auto requests = parse_graph(*text);
  if (!requests) requests.error().message = printable(path) + ": " + requests.error().message;
  return requests;
}

}  // namespace sisctl
