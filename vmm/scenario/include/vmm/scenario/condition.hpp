// Whether a value is as a scenario wants it, and the words for it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// What came of one condition.
struct Verdict {
  bool passed = false;
  std::string wanted;  ///< the condition in words: "at least 3 and at most 9"
  std::string actual;  ///< the value as JSON text, or "absent"
};

/// The condition in words.
std::string describe(const Condition& condition);

/// Holds `value` against the condition; null: there is no such value. Then only `exists: false` holds. A part that does
/// not apply to the value's type (`min` of a text) does not hold. Numbers are compared by value, exactly for integers:
/// 5 equals 5.0. Values may come from a hostile guest: matching takes time linear in the text.
Verdict evaluate(const Condition& condition, const nlohmann::json* value);

/// The field of `reply` that the dotted path leads to; null if there is none. A number in the path is an index where
/// it meets a list.
const nlohmann::json* find_field(const nlohmann::json& reply, std::string_view path);

/// Evaluates the condition on the field of `reply` that it names.
Verdict evaluate(const ReplyExpectation& expectation, const nlohmann::json& reply);

/// Why `pattern` is not a regular expression in RE2's syntax; nothing when it is one.
std::optional<std::string> regex_problem(const std::string& pattern);

}  // namespace vmm::scenario
