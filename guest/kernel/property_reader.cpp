#include "property_reader.hpp"

#include <algorithm>

namespace guest::kernel {

std::unexpected<NamedError> PropertyReader::bad_value(std::string_view expected) const {
  return fail("tree-bad-value", "'{}' of {} ({} bytes): expected {}", cursor_.property_name(), path(),
              cursor_.value().size(), expected);
}

PropertyReader::Text PropertyReader::text() const {
  const Bytes bytes = cursor_.value();
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
  if (all.empty() || all.find('\0') != all.size() - 1) {
    return bad_value("one text ended by a NUL");
  }
  return all.substr(0, all.size() - 1);
}

PropertyReader::Text PropertyReader::item_name(std::size_t max_bytes) const {
  const Text value = text();
  const auto is_allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (value &&
      (value->empty() || value->size() > max_bytes || !std::all_of(value->begin(), value->end(), is_allowed))) {
    FixedText<48> expected;
    format_to(expected, "1 to {} of A-Z a-z 0-9 . _ -", max_bytes);
    return bad_value(expected.view());
  }
  return value;
}

Outcome PropertyReader::flag() const {
  if (!cursor_.value().empty()) {
    return bad_value("no value");
  }
  return {};
}

Outcome PropertyReader::number(std::size_t bytes, std::uint64_t& out, std::uint64_t min, std::uint64_t max) const {
  if (cursor_.value().size() != bytes) {
    return bytes == 4 ? bad_value("4 bytes") : bad_value("8 bytes");
  }
  out = bytes == 4 ? read_be32(cursor_.value().data()) : read_be64(cursor_.value().data());
  if (out < min || out > max) {
    return fail("tree-bad-value", "'{}' of {} is {}: expected {} to {}", cursor_.property_name(), path(), out, min,
                max);
  }
  return {};
}

Outcome PropertyReader::check_numbered(std::string_view prefix, std::size_t index) const {
  FixedText<32> wanted;
  format_to(wanted, "{}{}", prefix, index);
  const std::string_view name = cursor_.node_name();
  if (name != wanted.view()) {
    return fail("tree-unknown-node", "'{}' in {}, expected '{}'", escaped(name.substr(0, 64)), path(), wanted.view());
  }
  return {};
}

Outcome PropertyReader::unknown_node() const {
  return fail("tree-unknown-node",
              "'{}' in {}; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', 'graphs' and 'llm' in /",
              escaped(cursor_.node_name().substr(0, 64)), path());
}

}  // namespace guest::kernel
