// Types of conditions, alone and by name.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "format.hpp"
#include "types.hpp"

namespace vmm::scenario {

/// A condition; the schema refers to its definition, and the table of options does not repeat its keys.
const TypePtr<Condition>& condition_reference();

/// A map of names to conditions, in the order of the file. E has the members `name` and `condition` point to.
template <typename E>
class NamedConditions final : public Type<std::vector<E>> {
 public:
  /// `name_type` says what a name may be; `words` what the map is.
  NamedConditions(std::string E::* name, TypePtr<std::string> name_type, std::string words)
      : name_(name), name_type_(std::move(name_type)), words_(std::move(words)) {}

  void read(Problems& problems, const std::string& key, const Node& node, std::vector<E>& out) const override {
    if (node.kind != Node::Kind::Map) {
      problems.add(node.at, key, found(node), words_);
      return;
    }
    for (const Node::Entry& entry : node.entries) {
      E& expectation = out.emplace_back();
      Node name;
      name.kind = Node::Kind::Quoted;
      name.at = entry.at;
      name.text = entry.key;
      name_type_->read(problems, key, name, expectation.*name_);
      condition_type()->read(problems, key + '.' + entry.key, entry.value, expectation.condition);
    }
  }

  [[nodiscard]] OrderedJson write(const std::vector<E>& value) const override {
    OrderedJson map = OrderedJson::object();
    for (const E& expectation : value) map[expectation.*name_] = condition_type()->write(expectation.condition);
    return map;
  }

  [[nodiscard]] OrderedJson schema() const override {
    return {{"type", "object"},
            {"propertyNames", name_type_->schema()},
            {"additionalProperties", {{"$ref", "#/definitions/condition"}}}};
  }

  [[nodiscard]] std::string allowed() const override { return words_; }

 private:
  std::string E::* name_;
  TypePtr<std::string> name_type_;
  std::string words_;
};

}  // namespace vmm::scenario
