#include "json_text.hpp"

#include <nlohmann/json.hpp>

namespace vmm::report {
namespace {

using nlohmann::json;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

std::size_t after_space(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

/// @param at of its first quote
std::size_t after_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

/// Behind the value that begins at `at`.
std::size_t after_value(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = after_string(text, at);
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;  // of what it is in: a number or a word ends here
      --depth;
      ++at;
    } else if (depth == 0 && (c == ',' || is_space(c))) {
      return at;
    } else {
      ++at;
      continue;
    }
    if (depth == 0) return at;
  }
  return at;
}

/// Keeps the values right inside the outermost object, and nothing deeper.
bool keep_outermost(int depth, json::parse_event_t event, json&) {
  switch (event) {
    case json::parse_event_t::object_start:
    case json::parse_event_t::array_start:
      return depth == 0;
    default:
      return depth <= 1;
  }
}

}  // namespace

Result<> check_object(std::string_view text, const Expected& expected) {
  const std::size_t first = after_space(text, 0);
  if (first == text.size() || text[first] != '{') return fail("expected a JSON object");
  json outermost;
  try {
    outermost = json::parse(text, keep_outermost);
  } catch (const json::exception& error) {
    return fail(std::string("expected JSON: ") + error.what());
  }
  if (expected.format.empty()) return {};
  const auto format = outermost.find("format");
  const auto version = outermost.find("version");
  if (format == outermost.end() || version == outermost.end() || *format != expected.format ||
      *version != expected.version) {
    return fail("expected \"format\": \"" + std::string(expected.format) +
                "\" and \"version\": " + std::to_string(expected.version));
  }
  return {};
}

void for_each_member(std::string_view text, const std::function<void(std::string_view, std::string_view)>& member) {
  std::size_t at = after_space(text, after_space(text, 0) + 1);
  while (at < text.size() && text[at] == '"') {
    const std::size_t key_end = after_string(text, at);
    const std::string_view key = text.substr(at + 1, key_end - at - 2);
    at = after_space(text, after_space(text, key_end) + 1);  // behind the colon
    const std::size_t end = after_value(text, at);
    member(key, text.substr(at, end - at));
    at = after_space(text, end);
    if (at < text.size() && text[at] == ',') at = after_space(text, at + 1);
  }
}

void for_each_element(std::string_view text, const std::function<void(std::string_view)>& element) {
  std::size_t at = after_space(text, after_space(text, 0) + 1);
  while (at < text.size() && text[at] != ']') {
    const std::size_t end = after_value(text, at);
    element(text.substr(at, end - at));
    at = after_space(text, end);
    if (at < text.size() && text[at] == ',') at = after_space(text, at + 1);
  }
}

std::string json_string(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace vmm::report
