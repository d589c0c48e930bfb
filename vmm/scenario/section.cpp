#include "section.hpp"

#include <algorithm>

namespace vmm::scenario {

std::optional<std::size_t> SectionKeys::find(std::string_view key) const {
  const auto match = std::ranges::find(keys_, key, &KeyFacts::key);
  if (match == keys_.end()) return std::nullopt;
  return static_cast<std::size_t>(match - keys_.begin());
}

std::string SectionKeys::names() const {
  std::string words;
  for (const KeyFacts& facts : keys_) words += (words.empty() ? "" : ", ") + facts.key;
  return words;
}

void SectionKeys::report_unknown(Problems& problems, const std::string& key, const Node::Entry& entry) const {
  std::vector<std::string> known;
  known.reserve(keys_.size());
  for (const KeyFacts& facts : keys_) known.push_back(facts.key);
  const std::string near = nearest(entry.key, known);
  problems.add(entry.at, key,
               "the unknown key " + quote(entry.key) + (near.empty() ? "" : " (did you mean \"" + near + "\"?)"),
               names());
}

void SectionKeys::report_missing(Problems& problems, const std::string& key, const Node& node) const {
  for (const KeyFacts& facts : keys_) {
    if (facts.presence == Presence::Optional) continue;
    const bool is_there =
        std::ranges::any_of(node.entries, [&](const Node::Entry& entry) { return entry.key == facts.key; });
    if (!is_there) problems.add(node.at, join(key, facts.key), "nothing", facts.type->allowed());
  }
}

OrderedJson SectionKeys::schema(const std::vector<OrderedJson>& defaults) const {
  OrderedJson properties = OrderedJson::object();
  OrderedJson required = OrderedJson::array();
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const KeyFacts& facts = keys_[i];
    OrderedJson property = facts.type->schema();
    property["description"] = facts.help;
    if (facts.presence == Presence::Required) {
      required.push_back(facts.key);
    } else if (defaults[i].is_primitive() && !defaults[i].is_null()) {
      property["default"] = defaults[i];
    }
    properties[facts.key] = std::move(property);
  }
  OrderedJson schema = {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

void SectionKeys::document(const std::string& key, const std::vector<OrderedJson>& defaults,
                           std::vector<OptionRow>& rows) const {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const KeyFacts& facts = keys_[i];
    const std::string path = join(key, facts.key);
    const OrderedJson& value = defaults[i];
    std::string default_text;
    if (facts.presence == Presence::Required) {
      default_text = "required";
    } else if (value.is_primitive() && !value.is_null()) {
      default_text = value.is_string() ? value.get<std::string>() : value.dump();
    }
    rows.push_back({path, facts.type->allowed(), default_text, facts.help});
    facts.type->document(path, rows);
  }
}

std::string SectionKeys::join(const std::string& key, const std::string& next) {
  return key.empty() ? next : key + '.' + next;
}

}  // namespace vmm::scenario
