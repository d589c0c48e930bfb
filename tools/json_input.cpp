#include "tools/json_input.hpp"

#include <set>
#include <vector>

#include "tools/text.hpp"

namespace sisctl {

using nlohmann::json;

std::expected<json, std::string> parse_json(const std::string& text, int max_depth) {
  // Of a key that is given twice the parser would keep the last value, without a word.
  std::vector<std::set<std::string>> keys;
  std::optional<std::string> twice;
  bool too_deep = false;
  const auto note = [&](int depth, json::parse_event_t event, const json& value) {
    // What is dropped is not built.
    if (depth > max_depth) too_deep = true;
    if (too_deep) return false;
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) twice = value;
    return true;
  };
  json parsed = json::parse(text, note, false);
  // A zero byte would end what the parser looks at.
  if (parsed.is_discarded() || text.contains('\0')) return std::unexpected("not JSON");
  if (too_deep) return std::unexpected("nested more than " + std::to_string(max_depth) + " deep");
  if (twice) return std::unexpected("key '" + printable(*twice) + "' is given twice");
  return parsed;
}

std::optional<std::string> find_fraction(const json& value, const std::string& place) {
  if (value.is_number_float()) return place + " is " + value.dump();
  if (!value.is_structured()) return std::nullopt;
  for (const auto& [key, inner] : value.items()) {
    std::string name = place;
    name.append(place.empty() ? "" : ".").append(key);
    if (auto found = find_fraction(inner, name)) return found;
  }
  return std::nullopt;
}

bool is_utf8(const std::string& text) {
  using Handler = json::error_handler_t;
  const json value = text;
  return value.dump(-1, ' ', false, Handler::replace) == value.dump(-1, ' ', false, Handler::ignore);
}

}  // namespace sisctl
