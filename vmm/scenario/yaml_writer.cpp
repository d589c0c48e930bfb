#include "yaml_writer.hpp"

#include <re2/re2.h>

namespace vmm::scenario {
namespace {

using OrderedJson = nlohmann::ordered_json;

/// JSON's escapes are escapes of YAML's double quotes too. A few characters beyond JSON's set would end a line for some
/// YAML parser (NEL, LS, PS), are not allowed bare (DEL), or vanish (the byte order mark).
std::string quoted(const std::string& text) {
  const std::string json = OrderedJson(text).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  std::string out;
  for (std::size_t i = 0; i < json.size();) {
    static constexpr std::pair<std::string_view, std::string_view> kEscapes[] = {
        {"\x7f", "\\u007f"},         {"\xC2\x85", "\\u0085"},     {"\xE2\x80\xA8", "\\u2028"},
        {"\xE2\x80\xA9", "\\u2029"}, {"\xEF\xBB\xBF", "\\ufeff"},
    };
    std::size_t length = 1;
    std::string_view as = std::string_view(json).substr(i, 1);
    for (const auto& [bytes, escape] : kEscapes) {
      if (json.compare(i, bytes.size(), bytes) == 0) {
        length = bytes.size();
        as = escape;
      }
    }
    out += as;
    i += length;
  }
  return out;
}

std::string scalar(const OrderedJson& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  // Letters first, then nothing that means anything to YAML.
  static const RE2 kBare("[A-Za-z/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*");
  static const RE2 kWord("(?i)true|false|null|yes|no|on|off|y|n");
  const bool digits_first = RE2::FullMatch(text, "[1-9][0-9]*(B|KiB|MiB|GiB|ms|s|m|h)");
  return digits_first || (RE2::FullMatch(text, kBare) && !RE2::FullMatch(text, kWord)) ? text : quoted(text);
}

bool is_block(const OrderedJson& value) { return value.is_structured() && !value.empty(); }

void write(std::string& out, const OrderedJson& value, std::size_t indent);

/// What stands behind "key:" or "-".
void write_value(std::string& out, const OrderedJson& value, std::size_t indent) {
  if (is_block(value)) {
    out += '\n';
    write(out, value, indent);
  } else {
    out += ' ' + scalar(value) + '\n';
  }
}

void write(std::string& out, const OrderedJson& value, std::size_t indent) {
  if (!is_block(value)) {
    out += std::string(indent, ' ') + scalar(value) + '\n';
    return;
  }
  for (const auto& item : value.items()) {
    out += std::string(indent, ' ');
    if (value.is_object()) {
      out += scalar(item.key()) + ':';
      write_value(out, item.value(), indent + 2);
    } else if (item.value().is_object() && !item.value().empty()) {
      // The first key of a map stands beside the dash.
      std::string map;
      write(map, item.value(), indent + 2);
      out += "- " + map.substr(indent + 2);
    } else {
      out += '-';
      write_value(out, item.value(), indent + 2);
    }
  }
}

}  // namespace

std::string write_yaml(const OrderedJson& value) {
  std::string out;
  write(out, value, 0);
  return out;
}

}  // namespace vmm::scenario
