// JSON that a user has written: stricter than the parser, so that nothing is ignored or changed without a word.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace sisctl {

/// The document, nested at most `max_depth` deep. What is wrong: it is no JSON, it is nested deeper, a key is there
/// twice in one object.
std::expected<nlohmann::json, std::string> parse_json(const std::string& text, int max_depth);

/// The first number that is no integer of 64 bits, of which the guest's protocol has none: where it is, and its value.
std::optional<std::string> find_fraction(const nlohmann::json& value, const std::string& place);

/// Whether all of it is UTF-8.
bool is_utf8(const std::string& text);

}  // namespace sisctl
