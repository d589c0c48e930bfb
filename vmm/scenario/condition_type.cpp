#include "condition_type.hpp"

#include "section.hpp"
#include "vmm/scenario/condition.hpp"

namespace vmm::scenario {
namespace {

Position place_of(const Node& node, std::string_view key) {
  const auto entry = std::ranges::find(node.entries, key, &Node::Entry::key);
  return entry == node.entries.end() ? node.at : entry->value.at;
}

/// What must hold between the parts of one condition.
void check_condition(Problems& problems, const std::string& key, const Node& node, Condition& condition) {
  for (const Node::Entry& entry : node.entries) {
    if (entry.value.kind == Node::Kind::Null) problems.add(entry.at, key + '.' + entry.key, "nothing", "a value");
  }
  if (node.entries.empty()) problems.add(node.at, key, "an empty map", condition_type()->allowed());
  if (condition.exists == false && node.entries.size() > 1) {
    problems.add(place_of(node, "exists"), key + ".exists", "false beside other conditions",
                 "\"exists: false\" alone: what is absent has no value");
  }
  const Condition lower{.min = condition.min};
  if (condition.min && condition.max && !evaluate(lower, &*condition.max).passed) {
    problems.add(place_of(node, "max"), key + ".max", condition.max->dump(), "at least min, " + condition.min->dump());
  }
  if (condition.matches) {
    if (const auto problem = regex_problem(*condition.matches)) {
      problems.add(place_of(node, "matches"), key + ".matches", quote(*condition.matches),
                   "a regular expression in RE2's syntax (" + *problem + ")");
    }
  }
}

TypePtr<Condition> condition_map() {
  static constexpr std::size_t kMaxPattern = 1024;
  const auto value = [](const char* words) { return maybe(any_value(words)); };
  return section<Condition>(
      {
          option("equals", &Condition::equals, value("a value"), "The value is this one; 5 equals 5.0."),
          option("not_equals", &Condition::not_equals, value("a value"), "The value is another one."),
          option("min", &Condition::min, maybe(number()), "The value is a number, at least this one."),
          option("max", &Condition::max, maybe(number()), "The value is a number, at most this one."),
          option("contains", &Condition::contains, value("a text or a value"),
                 "The value is a text with this part, or a list with this item."),
          option("matches", &Condition::matches,
                 maybe(text({.max_bytes = kMaxPattern, .words = "a regular expression (RE2)"})),
                 "The value is a text in which this regular expression is found; ^ and $ tie it to the ends."),
          option("exists", &Condition::exists, maybe(boolean()), "Whether there is a value at all."),
      },
      check_condition);
}

class ConditionType final : public Type<Condition> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, Condition& out) const override {
    if (node.kind == Node::Kind::Map) {
      map_->read(problems, key, node, out);
    } else if (node.kind == Node::Kind::Null) {
      problems.add(node.at, key, found(node), allowed());
    } else {
      out.equals = read_value(problems, key, node);
    }
  }

  [[nodiscard]] OrderedJson write(const Condition& value) const override {
    if (value == Condition{.equals = value.equals} && value.equals && !value.equals->is_object()) {
      return OrderedJson(*value.equals);
    }
    return map_->write(value);
  }

  [[nodiscard]] OrderedJson schema() const override {
    OrderedJson map = map_->schema();
    map["minProperties"] = 1;
    return {{"anyOf", {{{"type", {"string", "number", "boolean", "array"}}}, std::move(map)}}};
  }

  [[nodiscard]] std::string allowed() const override {
    return "a value, or a map with equals, not_equals, min, max, contains, matches, exists";
  }

  void document(const std::string& key, std::vector<OptionRow>& rows) const override { map_->document(key, rows); }

 private:
  TypePtr<Condition> map_ = condition_map();
};

class ConditionReference final : public Type<Condition> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, Condition& out) const override {
    condition_type()->read(problems, key, node, out);
  }
  [[nodiscard]] OrderedJson write(const Condition& value) const override { return condition_type()->write(value); }
  [[nodiscard]] OrderedJson schema() const override { return {{"$ref", "#/definitions/condition"}}; }
  [[nodiscard]] std::string allowed() const override { return "a condition"; }
};

}  // namespace

const TypePtr<Condition>& condition_reference() {
  static const TypePtr<Condition> type = std::make_shared<ConditionReference>();
  return type;
}

const TypePtr<Condition>& condition_type() {
  static const TypePtr<Condition> type = std::make_shared<ConditionType>();
  return type;
}

}  // namespace vmm::scenario
