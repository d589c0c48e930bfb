#include "tools/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

namespace sisctl {
namespace {

using nlohmann::json;

void append_hex(std::string& out, unsigned char byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 0xF]};
}

void collect(const json& value, const std::string& name, std::vector<std::pair<std::string, std::string>>& rows) {
  if (value.is_object() && !value.empty()) {
    const std::string prefix = name.empty() ? "" : name + ".";
    for (const auto& [key, inner] : value.items()) collect(inner, prefix + key, rows);
    return;
  }
  rows.emplace_back(printable(name), printable(value.is_string() ? value.get<std::string>() : value.dump()));
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
      append_hex(out, byte);
      append_hex(out, next);
      ++i;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      append_hex(out, byte);
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string table(const json& map) {
  std::vector<std::pair<std::string, std::string>> rows;
  collect(map, "", rows);
  std::size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, value] : rows) {
    out.append(name).append(width - name.size() + 2, ' ').append(value).append("\n");
  }
  return out;
}

std::string columns(const json& rows, const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> lines = {names};
  for (const json& row : rows.is_array() ? rows : json::array()) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const std::string& name : names) {
      const auto found = row.is_object() ? row.find(name) : row.end();
      const bool empty = found == row.end() || *found == "";
      line.push_back(empty ? "-" : printable(found->is_string() ? found->get<std::string>() : found->dump()));
    }
  }
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      std::size_t width = 0;
      for (const auto& other : lines) width = std::max(width, other[i].size());
      out += line[i];
      out.append(i + 1 == names.size() ? 0 : width - line[i].size() + 2, ' ');
    }
    out += "\n";
  }
  return out;
}

std::string duration(std::int64_t ns) {
  struct Unit {
    std::int64_t ns;
    const char* name;
  };
  constexpr std::array<Unit, 3> kUnits = {{{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}}};
  for (const auto& unit : kUnits) {
    if (ns < unit.ns) continue;
    char text[64];
    std::snprintf(text, sizeof(text), "%.3f %s", static_cast<double>(ns) / static_cast<double>(unit.ns), unit.name);
    return text;
  }
  return std::to_string(ns) + " ns";
}

std::string shell_quoted(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%^";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) return std::string(text);
  // Nothing is special between single quotes; a single quote itself goes between double ones.
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
  return out + "'";
}

}  // namespace sisctl
