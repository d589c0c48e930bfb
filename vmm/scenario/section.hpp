// A map with known keys: the table of options from which a struct is read, written and described.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "types.hpp"

namespace vmm::scenario {

enum class Presence { Optional, Required };

/// One key of a section, bound to what it sets in a T. Its default is what a fresh T holds.
template <typename T>
struct Option {
  std::string key;
  std::string help;
  Presence presence;
  std::function<void(Problems&, const std::string&, const Node&, T&)> read;
  std::function<bool(Problems&, const std::string&, std::string_view, const Node&, T&)> read_at;
  std::function<OrderedJson(const T&)> write;
  std::function<OrderedJson()> schema;
  std::function<std::string()> allowed;
  std::function<void(const std::string&, std::vector<OptionRow>&)> document;
};

namespace section_detail {

/// Binds `type` to the part of a T that `part` gives (a V&, const for a const T).
template <typename T, typename V, typename Part>
// NOLINTNEXTLINE(performance-unnecessary-value-param): they are moved from
Option<T> bind(std::string key, TypePtr<V> type, Part part, std::string help, Presence presence) {
  return {
      .key = std::move(key),
      .help = std::move(help),
      .presence = presence,
      .read = [type, part](Problems& problems, const std::string& path, const Node& node,
                           T& out) { type->read(problems, path, node, part(out)); },
      .read_at = [type, part](Problems& problems, const std::string& name, std::string_view path, const Node& node,
                              T& out) { return type->read_at(problems, name, path, node, part(out)); },
      .write = [type, part](const T& value) { return type->write(part(value)); },
      .schema = [type] { return type->schema(); },
      .allowed = [type] { return type->allowed(); },
      .document = [type](const std::string& path, std::vector<OptionRow>& rows) { type->document(path, rows); },
  };
}

}  // namespace section_detail

/// A key that sets one member.
template <typename T, typename V>
Option<T> option(std::string key, V T::* member, TypePtr<V> type, std::string help,
                 Presence presence = Presence::Optional) {
  auto part = [member](auto& object) -> auto& { return object.*member; };
  return section_detail::bind<T>(std::move(key), std::move(type), part, std::move(help), presence);
}

/// A key whose map sets further members of the same struct.
template <typename T>
Option<T> group(std::string key, TypePtr<T> section, std::string help, Presence presence = Presence::Optional) {
  auto part = [](auto& object) -> auto& { return object; };
  return section_detail::bind<T>(std::move(key), std::move(section), part, std::move(help), presence);
}

template <typename T>
class Section final : public Type<T> {
 public:
  /// What must hold between the options of one map; called when the map itself was read without a problem.
  using Check = std::function<void(Problems&, const std::string& key, const Node& node, T& value)>;

  explicit Section(std::vector<Option<T>> options, Check check = {})
      : options_(std::move(options)), check_(std::move(check)) {}

  void read(Problems& problems, const std::string& key, const Node& node, T& out) const override {
    if (node.kind != Node::Kind::Map) {
      problems.add(node.at, key, found(node), allowed());
      return;
    }
    const std::size_t before = problems.count();
    for (const Node::Entry& entry : node.entries) {
      if (const Option<T>* option = find(entry.key)) {
        option->read(problems, join(key, entry.key), entry.value, out);
      } else {
        report_unknown(problems, key, entry);
      }
    }
    for (const Option<T>& option : options_) {
      if (option.presence == Presence::Required && !has(node, option.key)) {
        problems.add(node.at, join(key, option.key), "nothing", option.allowed());
      }
    }
    if (check_ && problems.count() == before) check_(problems, key, node, out);
  }

  bool read_at(Problems& problems, const std::string& key, std::string_view path, const Node& node,
               T& out) const override {
    const std::size_t dot = path.find('.');
    const Option<T>* option = find(path.substr(0, dot));
    if (option == nullptr) return false;
    if (dot != std::string_view::npos) return option->read_at(problems, key, path.substr(dot + 1), node, out);
    option->read(problems, key, node, out);
    return true;
  }

  [[nodiscard]] OrderedJson write(const T& value) const override {
    OrderedJson map = OrderedJson::object();
    for (const Option<T>& option : options_) {
      if (OrderedJson written = option.write(value); !written.is_null()) map[option.key] = std::move(written);
    }
    return map;
  }

  [[nodiscard]] OrderedJson schema() const override {
    OrderedJson properties = OrderedJson::object();
    OrderedJson required = OrderedJson::array();
    for (const Option<T>& option : options_) {
      OrderedJson property = option.schema();
      property["description"] = option.help;
      if (option.presence == Presence::Required) {
        required.push_back(option.key);
      } else if (const OrderedJson value = option.write(T{}); value.is_primitive() && !value.is_null()) {
        property["default"] = value;
      }
      properties[option.key] = std::move(property);
    }
    OrderedJson schema = {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
    if (!required.empty()) schema["required"] = std::move(required);
    return schema;
  }

  [[nodiscard]] std::string allowed() const override { return "a map with " + keys(); }

  void document(const std::string& key, std::vector<OptionRow>& rows) const override {
    for (const Option<T>& option : options_) {
      const std::string path = join(key, option.key);
      const OrderedJson value = option.write(T{});
      std::string default_text;
      if (option.presence == Presence::Required) {
        default_text = "required";
      } else if (value.is_primitive() && !value.is_null()) {
        default_text = value.is_string() ? value.template get<std::string>() : value.dump();
      }
      rows.push_back({path, option.allowed(), default_text, option.help});
      option.document(path, rows);
    }
  }

 private:
  static std::string join(const std::string& key, const std::string& next) {
    return key.empty() ? next : key + '.' + next;
  }

  static bool has(const Node& node, const std::string& key) {
    return std::ranges::any_of(node.entries, [&](const Node::Entry& entry) { return entry.key == key; });
  }

  [[nodiscard]] const Option<T>* find(std::string_view key) const {
    const auto match = std::ranges::find(options_, key, &Option<T>::key);
    return match == options_.end() ? nullptr : &*match;
  }

  [[nodiscard]] std::string keys() const {
    std::string words;
    for (const Option<T>& option : options_) words += (words.empty() ? "" : ", ") + option.key;
    return words;
  }

  void report_unknown(Problems& problems, const std::string& key, const Node::Entry& entry) const {
    std::vector<std::string> names;
    names.reserve(options_.size());
    for (const Option<T>& option : options_) names.push_back(option.key);
    const std::string near = nearest(entry.key, names);
    problems.add(entry.at, key,
                 "the unknown key " + quote(entry.key) + (near.empty() ? "" : " (did you mean \"" + near + "\"?)"),
                 keys());
  }

  std::vector<Option<T>> options_;
  Check check_;
};

template <typename T>
TypePtr<T> section(std::vector<Option<T>> options, typename Section<T>::Check check = {}) {
  return std::make_shared<Section<T>>(std::move(options), std::move(check));
}

}  // namespace vmm::scenario
