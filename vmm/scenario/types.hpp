// How one kind of value is read from YAML, checked, written and described. An option (section.hpp) is a key and a type;
// the loader, the writer, the JSON Schema and the tables of docs/scenario.md all follow from the same objects.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "document.hpp"
#include "problems.hpp"

namespace vmm::scenario {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

/// One row of the tables in docs/scenario.md.
struct OptionRow {
  std::string key;  ///< dotted, "[]" for items of lists: "steps[].op"
  std::string allowed;
  std::string default_text;  ///< "required" where there is none
  std::string help;
};

/// What is said of a kind of value, whatever holds it. Immutable; shared by the options that use it.
class AnyType {
 public:
  virtual ~AnyType() = default;

  /// JSON Schema (draft 7) of the value.
  [[nodiscard]] virtual OrderedJson schema() const = 0;

  /// What is allowed, in words: "an integer from 1 to 8".
  [[nodiscard]] virtual std::string allowed() const = 0;

  /// Rows of the options inside of the value, for sections.
  virtual void document(const std::string& /*key*/, std::vector<OptionRow>& /*rows*/) const {}
};

/// A kind of value that a field of type T holds.
template <typename T>
class Type : public AnyType {
 public:
  /// Reads `node` into `out`, or reports to `problems` under `key`; then `out` may hold anything valid.
  virtual void read(Problems& problems, const std::string& key, const Node& node, T& out) const = 0;

  /// The value as read() takes it; null when it is left out.
  [[nodiscard]] virtual OrderedJson write(const T& value) const = 0;

  /// read() of the option that `path` leads to, below this value; false if there is none.
  virtual bool read_at(Problems& /*problems*/, const std::string& /*key*/, std::string_view /*path*/,
                       const Node& /*node*/, T& /*out*/) const {
    return false;
  }
};

template <typename T>
using TypePtr = std::shared_ptr<const Type<T>>;

/// The node's value in words, for "found": a list, "text", 99.
std::string found(const Node& node);

/// The meaning of a scalar that no option gives a type: numbers, true, false, null, text (YAML 1.2 core schema, without
/// octal and hexadecimal). Lists and maps of them. What looks like a number and is none is reported.
Json read_value(Problems& problems, const std::string& key, const Node& node);

/// An integer.
template <typename T>
TypePtr<T> integer(std::int64_t min, std::int64_t max);

extern template TypePtr<unsigned> integer(std::int64_t, std::int64_t);
extern template TypePtr<int> integer(std::int64_t, std::int64_t);
extern template TypePtr<std::uint64_t> integer(std::int64_t, std::int64_t);

TypePtr<bool> boolean();

/// Bytes, written with a unit: 256MiB. A multiple of `multiple`.
TypePtr<std::uint64_t> size(std::uint64_t min, std::uint64_t max, std::uint64_t multiple);

/// A duration, written with a unit: 500ms, 5s, 2m, 1h.
TypePtr<std::chrono::milliseconds> duration(std::chrono::milliseconds min, std::chrono::milliseconds max);

/// A short one: 500ns, 20us, 10ms, 5s.
TypePtr<std::chrono::nanoseconds> fine_duration(std::chrono::nanoseconds min, std::chrono::nanoseconds max);

/// A text of one or more characters. The empty text stands for "not given", and is left out when written. What YAML
/// takes for a number, true or false must be in quotes.
struct TextRules {
  std::size_t max_bytes = 0;
  std::string pattern = {};  ///< regular expression (RE2, JSON Schema) for the whole text; empty: any text
  std::string words;         ///< the rule in words
};
TypePtr<std::string> text(TextRules rules);

/// A path of the host, which paths.hpp makes absolute.
inline constexpr std::size_t kMaxPathBytes = 4096;
TypePtr<std::string> path();

/// Any value that JSON has, in a map.
TypePtr<Json> value_map(std::string words);

/// Any value that JSON has.
TypePtr<Json> any_value(std::string words);

/// A number, integer or not.
TypePtr<Json> number();

/// One of the given words.
template <typename T>
TypePtr<T> choice(std::vector<std::pair<std::string, T>> values);

/// A value that may be left out.
template <typename T>
TypePtr<std::optional<T>> maybe(TypePtr<T> type);

/// Zero or more of `item`.
template <typename T>
TypePtr<std::vector<T>> list(TypePtr<T> item, std::size_t min, std::size_t max);

/// "size" and "duration" as text; the least that says it exactly.
std::string size_text(std::uint64_t bytes);
std::string duration_text(std::chrono::milliseconds value);

}  // namespace vmm::scenario

#include "types_impl.hpp"
