// Text for people: what the guest said may hold anything, a terminal must not act on it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sisctl {

/// The text with every control character but line feed and tab written as \xNN, also those of two bytes (U+0080 to
/// U+009F). `text` is UTF-8.
std::string printable(std::string_view text);

/// A map as lines "name  value", sorted, values in one column; maps within it as "outer.inner".
std::string table(const nlohmann::json& map);

/// Maps as lines under a line of `names`, their values of these names in columns; "-" where there is none.
std::string columns(const nlohmann::json& rows, const std::vector<std::string>& names);

/// "1.234 ms" with a unit that fits.
std::string duration(std::int64_t ns);

/// One argument of the guest's shell that stands for `text`, quoted where it has to be.
std::string shell_quoted(std::string_view text);

}  // namespace sisctl
