#include "types.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <mutex>

#include "vmm/base/numbers.hpp"

namespace vmm::scenario {
namespace {

bool is_scalar(const Node& node) { return node.kind == Node::Kind::Plain || node.kind == Node::Kind::Quoted; }

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

/// Some YAML parser takes this for a number.
bool looks_like_number(std::string_view text) {
  static const RE2 kNumber(
      "[-+]?([0-9][0-9_]*|0[xob][0-9a-fA-F_]+|(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?|"
      "\\.(inf|Inf|INF))|\\.(nan|NaN|NAN)");
  return RE2::FullMatch(text, kNumber);
}

/// The number that `text` is in every version of YAML; nothing when versions differ, and when it does not fit.
std::optional<Json> parse_number(std::string_view text) {
  static const RE2 kDecimal("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?");
  if (is_plain_integer(text)) {
    if (const auto value = parse_whole<std::int64_t>(text)) return Json(*value);
    if (const auto value = parse_whole<std::uint64_t>(text)) return Json(*value);
    return std::nullopt;
  }
  if (!RE2::FullMatch(text, kDecimal)) return std::nullopt;
  const auto value = parse_whole<double>(text);
  return value && std::isfinite(*value) ? std::optional<Json>(*value) : std::nullopt;
}

/// The largest unit that says the value exactly.
std::string text_with_unit(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) return std::to_string(value / unit.factor) + unit.name;
  }
  return "0" + std::string(units.back().name);
}

std::string unit_pattern(std::span<const Unit> units) {
  std::string names;
  for (const Unit& unit : units) names += (names.empty() ? "" : "|") + std::string(unit.name);
  return "^(0|[1-9][0-9]*)(" + names + ")$";
}

template <typename T>
class IntegerType final : public Type<T> {
 public:
  IntegerType(std::int64_t min, std::int64_t max) : min_(min), max_(max) {}

  void read(Problems& problems, const std::string& key, const Node& node, T& out) const override {
    if (node.kind == Node::Kind::Plain && is_plain_integer(node.text)) {
      const auto value = parse_whole<std::int64_t>(node.text);
      if (value && *value >= min_ && *value <= max_) {
        out = static_cast<T>(*value);
        return;
      }
    }
    problems.add(node.at, key, found(node), allowed());
  }

  [[nodiscard]] OrderedJson write(const T& value) const override { return value; }
  [[nodiscard]] OrderedJson schema() const override {
    return {{"type", "integer"}, {"minimum", min_}, {"maximum", max_}};
  }
  [[nodiscard]] std::string allowed() const override {
    if (max_ == min_ + 1) return std::to_string(min_) + " or " + std::to_string(max_);
    return "an integer from " + std::to_string(min_) + " to " + std::to_string(max_);
  }

 private:
  std::int64_t min_;
  std::int64_t max_;
};

class BoolType final : public Type<bool> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, bool& out) const override {
    const auto value = node.kind == Node::Kind::Plain ? parse_bool(node.text) : std::nullopt;
    if (value) {
      out = *value;
    } else {
      problems.add(node.at, key, found(node), allowed());
    }
  }
  [[nodiscard]] OrderedJson write(const bool& value) const override { return value; }
  [[nodiscard]] OrderedJson schema() const override { return {{"type", "boolean"}}; }
  [[nodiscard]] std::string allowed() const override { return "true or false"; }
};

class SizeType final : public Type<std::uint64_t> {
 public:
  SizeType(std::uint64_t min, std::uint64_t max, std::uint64_t multiple) : min_(min), max_(max), multiple_(multiple) {}

  void read(Problems& problems, const std::string& key, const Node& node, std::uint64_t& out) const override {
    const auto value = is_scalar(node) ? parse_with_unit(node.text, kSizeUnits) : std::nullopt;
    if (value && *value >= min_ && *value <= max_ && *value % multiple_ == 0) {
      out = *value;
    } else {
      problems.add(node.at, key, found(node), allowed());
    }
  }
  [[nodiscard]] OrderedJson write(const std::uint64_t& value) const override { return size_text(value); }
  [[nodiscard]] OrderedJson schema() const override {
    return {{"type", "string"}, {"pattern", unit_pattern(kSizeUnits)}};
  }
  [[nodiscard]] std::string allowed() const override {
    return "a size from " + size_text(min_) + " to " + size_text(max_) + " in steps of " + size_text(multiple_) +
           ", with the unit B, KiB, MiB or GiB";
  }

 private:
  std::uint64_t min_;
  std::uint64_t max_;
  std::uint64_t multiple_;
};

/// Of the unit in which a Duration counts.
template <typename Duration>
class DurationType final : public Type<Duration> {
 public:
  DurationType(Duration min, Duration max, std::span<const Unit> units, std::string words)
      : min_(min), max_(max), units_(units), words_(std::move(words)) {}

  void read(Problems& problems, const std::string& key, const Node& node, Duration& out) const override {
    const auto value = is_scalar(node) ? parse_with_unit(node.text, units_) : std::nullopt;
    if (value && *value >= count(min_) && *value <= count(max_)) {
      out = Duration(*value);
    } else {
      problems.add(node.at, key, found(node), allowed());
    }
  }
  [[nodiscard]] OrderedJson write(const Duration& value) const override { return text_with_unit(count(value), units_); }
  [[nodiscard]] OrderedJson schema() const override { return {{"type", "string"}, {"pattern", unit_pattern(units_)}}; }
  [[nodiscard]] std::string allowed() const override {
    return "a duration from " + text_with_unit(count(min_), units_) + " to " + text_with_unit(count(max_), units_) +
           ", with the unit " + words_;
  }

 private:
  static std::uint64_t count(Duration value) { return static_cast<std::uint64_t>(value.count()); }

  Duration min_;
  Duration max_;
  std::span<const Unit> units_;
  std::string words_;
};

/// A regular expression that is compiled when it is first needed: most patterns of the format never are in a run, and
/// compiling all of them was most of the cost of making the types. Any thread.
class LazyPattern {
 public:
  [[nodiscard]] bool matches_all_of(const std::string& text, const std::string& pattern) const {
    std::call_once(once_, [&] { compiled_ = std::make_unique<const RE2>(pattern); });
    return RE2::FullMatch(text, *compiled_);
  }

 private:
  mutable std::once_flag once_;
  mutable std::unique_ptr<const RE2> compiled_;
};

class TextType final : public Type<std::string> {
 public:
  explicit TextType(TextRules rules) : rules_(std::move(rules)) {}

  void read(Problems& problems, const std::string& key, const Node& node, std::string& out) const override {
    const bool is_text = node.kind == Node::Kind::Quoted ||
                         (node.kind == Node::Kind::Plain && !looks_like_number(node.text) && !parse_bool(node.text));
    if (is_text && !node.text.empty() && node.text.size() <= rules_.max_bytes &&
        (rules_.pattern.empty() || pattern_.matches_all_of(node.text, rules_.pattern))) {
      out = node.text;
    } else {
      problems.add(node.at, key, found(node), allowed() + (is_text || !is_scalar(node) ? "" : ", in quotes"));
    }
  }
  [[nodiscard]] OrderedJson write(const std::string& value) const override {
    return value.empty() ? OrderedJson() : OrderedJson(value);
  }
  [[nodiscard]] OrderedJson schema() const override {
    OrderedJson schema = {{"type", "string"}, {"minLength", 1}, {"maxLength", rules_.max_bytes}};
    if (!rules_.pattern.empty()) schema["pattern"] = "^(" + rules_.pattern + ")$";
    return schema;
  }
  [[nodiscard]] std::string allowed() const override {
    return rules_.words + ", at most " + std::to_string(rules_.max_bytes) + " bytes";
  }

 private:
  TextRules rules_;
  LazyPattern pattern_;
};

class ValueType final : public Type<Json> {
 public:
  enum class Only { Any, Map, Number };
  ValueType(std::string words, Only only) : words_(std::move(words)), only_(only) {}

  void read(Problems& problems, const std::string& key, const Node& node, Json& out) const override {
    if (only_ == Only::Map && node.kind != Node::Kind::Map) {
      problems.add(node.at, key, found(node), words_);
      return;
    }
    if (only_ == Only::Number) {
      const auto value = node.kind == Node::Kind::Plain ? parse_number(node.text) : std::nullopt;
      if (!value) problems.add(node.at, key, found(node), words_);
      out = value.value_or(Json(0));
      return;
    }
    out = read_value(problems, key, node);
  }
  [[nodiscard]] OrderedJson write(const Json& value) const override { return OrderedJson(value); }
  [[nodiscard]] OrderedJson schema() const override {
    if (only_ == Only::Map) return {{"type", "object"}};
    if (only_ == Only::Number) return {{"type", "number"}};
    return OrderedJson::object();
  }
  [[nodiscard]] std::string allowed() const override { return words_; }

 private:
  std::string words_;
  Only only_;
};

}  // namespace

std::string found(const Node& node) {
  switch (node.kind) {
    case Node::Kind::Null:
      return "nothing";
    case Node::Kind::Plain:
      // Numbers and truth values as they are; the length bound keeps a long digit string out of the message.
      if (node.text.size() <= 32 && (looks_like_number(node.text) || parse_bool(node.text))) return node.text;
      return quote(node.text);
    case Node::Kind::Quoted:
      return "the text " + quote(node.text);
    case Node::Kind::List:
      return "a list";
    case Node::Kind::Map:
      return "a map";
  }
  return "nothing";
}

Json read_value(Problems& problems, const std::string& key, const Node& node) {
  switch (node.kind) {
    case Node::Kind::Null:
      return nullptr;
    case Node::Kind::Quoted:
      return node.text;
    case Node::Kind::Plain:
      if (const auto value = parse_bool(node.text)) return *value;
      if (const auto value = parse_number(node.text)) return *value;
      if (looks_like_number(node.text)) {
        problems.add(node.at, key, found(node), "a decimal number of at most 64 bits, or a text in quotes");
      }
      return node.text;
    case Node::Kind::List: {
      Json list = Json::array();
      for (const Node& item : node.items) {
        list.push_back(read_value(problems, key + '[' + std::to_string(list.size()) + ']', item));
      }
      return list;
    }
    case Node::Kind::Map: {
      Json map = Json::object();
      for (const Node::Entry& entry : node.entries) {
        map[entry.key] = read_value(problems, key + '.' + entry.key, entry.value);
      }
      return map;
    }
  }
  return nullptr;
}

template <typename T>
TypePtr<T> integer(std::int64_t min, std::int64_t max) {
  return std::make_shared<IntegerType<T>>(min, max);
}
template TypePtr<unsigned> integer(std::int64_t, std::int64_t);
template TypePtr<int> integer(std::int64_t, std::int64_t);
template TypePtr<std::uint64_t> integer(std::int64_t, std::int64_t);

TypePtr<bool> boolean() { return std::make_shared<BoolType>(); }

TypePtr<std::uint64_t> size(std::uint64_t min, std::uint64_t max, std::uint64_t multiple) {
  return std::make_shared<SizeType>(min, max, multiple);
}

TypePtr<std::chrono::milliseconds> duration(std::chrono::milliseconds min, std::chrono::milliseconds max) {
  return std::make_shared<DurationType<std::chrono::milliseconds>>(min, max, kDurationUnits, "ms, s, m or h");
}

TypePtr<std::chrono::nanoseconds> fine_duration(std::chrono::nanoseconds min, std::chrono::nanoseconds max) {
  return std::make_shared<DurationType<std::chrono::nanoseconds>>(min, max, kFineDurationUnits, "ns, us, ms or s");
}

TypePtr<std::string> text(TextRules rules) { return std::make_shared<TextType>(std::move(rules)); }

TypePtr<std::string> path() {
  return text({.max_bytes = kMaxPathBytes, .pattern = R"([^\x00-\x1f\x7f]+)", .words = "a path, one line of text"});
}

TypePtr<Json> value_map(std::string words) {
  return std::make_shared<ValueType>(std::move(words), ValueType::Only::Map);
}

TypePtr<Json> any_value(std::string words) {
  return std::make_shared<ValueType>(std::move(words), ValueType::Only::Any);
}

TypePtr<Json> number() { return std::make_shared<ValueType>("a number", ValueType::Only::Number); }

std::string size_text(std::uint64_t bytes) { return text_with_unit(bytes, kSizeUnits); }

std::string duration_text(std::chrono::milliseconds value) {
  return text_with_unit(static_cast<std::uint64_t>(value.count()), kDurationUnits);
}

namespace types_detail {

OrderedJson choice_schema(const std::vector<std::string>& words) { return {{"enum", words}}; }

std::string choice_words(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  }
  return text;
}

OrderedJson list_schema(OrderedJson item, std::size_t min, std::size_t max) {
  OrderedJson schema = {{"type", "array"}, {"items", std::move(item)}};
  if (min > 0) schema["minItems"] = min;
  schema["maxItems"] = max;
  return schema;
}

std::string list_words(std::size_t min, std::size_t max) {
  if (min == 0) return "a list of at most " + std::to_string(max) + " items";
  return "a list of " + std::to_string(min) + " to " + std::to_string(max) + " items";
}

}  // namespace types_detail
}  // namespace vmm::scenario
