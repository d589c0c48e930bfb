#include "vmm/scenario/condition.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <compare>
#include <utility>

namespace vmm::scenario {
namespace {

using Json = nlohmann::json;

std::string to_text(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// Exact for integers of either sign; otherwise as floating point.
std::partial_ordering compare_numbers(const Json& a, const Json& b) {
  if (!a.is_number_float() && !b.is_number_float()) {
    const auto wide = [](const Json& n) {
      return n.is_number_unsigned() ? static_cast<__int128>(n.get<std::uint64_t>())
                                    : static_cast<__int128>(n.get<std::int64_t>());
    };
    return wide(a) <=> wide(b);
  }
  const auto wide = [](const Json& n) {
    if (n.is_number_float()) return static_cast<long double>(n.get<double>());
    return n.is_number_unsigned() ? static_cast<long double>(n.get<std::uint64_t>())
                                  : static_cast<long double>(n.get<std::int64_t>());
  };
  return wide(a) <=> wide(b);
}

/// Equality by value. nlohmann's own converts a large unsigned number to a negative one when it meets a signed one.
bool equal(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.is_array() && b.is_array()) return std::ranges::equal(a, b, equal);
  if (a.is_object() && b.is_object()) {
    if (a.size() != b.size()) return false;
    return std::ranges::all_of(a.items(), [&](const auto& item) {
      const auto other = b.find(item.key());
      return other != b.end() && equal(item.value(), *other);
    });
  }
  return a == b;
}

bool contains(const Json& value, const Json& part) {
  if (value.is_string() && part.is_string()) {
    return value.get_ref<const std::string&>().find(part.get_ref<const std::string&>()) != std::string::npos;
  }
  return value.is_array() && std::ranges::any_of(value, [&](const Json& item) { return equal(item, part); });
}

RE2::Options regex_options() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  return options;
}

bool matches(const Json& value, const std::string& pattern) {
  if (!value.is_string()) return false;
  const RE2 regex(pattern, regex_options());
  return regex.ok() && RE2::PartialMatch(value.get_ref<const std::string&>(), regex);
}

bool holds(const Condition& condition, const Json* value) {
  if (value == nullptr) return condition.exists == false;
  if (condition.exists == false) return false;
  if (condition.equals && !equal(*value, *condition.equals)) return false;
  if (condition.not_equals && equal(*value, *condition.not_equals)) return false;
  if (condition.min && !(value->is_number() && compare_numbers(*value, *condition.min) >= 0)) return false;
  if (condition.max && !(value->is_number() && compare_numbers(*value, *condition.max) <= 0)) return false;
  if (condition.contains && !contains(*value, *condition.contains)) return false;
  return !condition.matches || matches(*value, *condition.matches);
}

}  // namespace

std::string describe(const Condition& condition) {
  std::string words;
  const auto add = [&](const std::string& part) { words += (words.empty() ? "" : " and ") + part; };
  if (condition.exists) add(*condition.exists ? "present" : "absent");
  if (condition.equals) add(to_text(*condition.equals));
  if (condition.not_equals) add("not " + to_text(*condition.not_equals));
  if (condition.min) add("at least " + to_text(*condition.min));
  if (condition.max) add("at most " + to_text(*condition.max));
  if (condition.contains) add("contains " + to_text(*condition.contains));
  if (condition.matches) add("matches " + to_text(*condition.matches));
  return words.empty() ? "present" : words;
}

Verdict evaluate(const Condition& condition, const nlohmann::json* value) {
  return {.passed = holds(condition, value),
          .wanted = describe(condition),
          .actual = value == nullptr ? "absent" : to_text(*value)};
}

const nlohmann::json* find_field(const nlohmann::json& reply, std::string_view path) {
  const Json* here = &reply;
  while (true) {
    const std::size_t dot = path.find('.');
    const std::string_view part = path.substr(0, dot);
    if (here->is_array()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      if (error != std::errc() || end != part.data() + part.size() || index >= here->size()) return nullptr;
      here = &(*here)[index];
    } else {
      const auto found = here->find(part);
      if (found == here->end()) return nullptr;
      here = &*found;
    }
    if (dot == std::string_view::npos) return here;
    path.remove_prefix(dot + 1);
  }
}

Verdict evaluate(const ReplyExpectation& expectation, const nlohmann::json& reply) {
  return evaluate(expectation.condition, find_field(reply, expectation.path));
}

std::optional<std::string> regex_problem(const std::string& pattern) {
  const RE2 regex(pattern, regex_options());
  return regex.ok() ? std::nullopt : std::optional(regex.error());
}

}  // namespace vmm::scenario
