#include "guest/graph/schema.hpp"

#include <algorithm>

#include "guest/kernel/panic.hpp"

namespace guest::graph {

bool is_schema_name(std::string_view name) {
  return !name.empty() && name.size() <= SchemaRegistry::kMaxNameBytes &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string_view::npos;
}

SchemaRegistry::SchemaRegistry() {
  kernel::require(add("text", kSchemaText).has_value() && add("tokens", kSchemaTokens).has_value(),
                  "the registry has no room for its own schemas");
}

kernel::Result<std::uint32_t> SchemaRegistry::add(std::string_view name) {
  if (!is_schema_name(name)) {
    return std::unexpected(kernel::Status::Invalid);
  }
  if (const auto known = find(name)) {
    return *known;
  }
  return insert(name, lowest_free_id());
}

kernel::Result<std::uint32_t> SchemaRegistry::add(std::string_view name, std::uint32_t id) {
  if (!is_schema_name(name)) {
    return std::unexpected(kernel::Status::Invalid);
  }
  if (id == kUntyped) {
    return std::unexpected(kernel::Status::OutOfRange);
  }
  for (const Entry& entry : entries_) {
    if ((entry.id == id) != (entry.name() == name)) {
      return std::unexpected(kernel::Status::Exists);
    }
    if (entry.id == id) {
      return id;
    }
  }
  return insert(name, id);
}

void SchemaRegistry::take_back(std::uint32_t id) {
  const std::size_t last = entries_.size() - 1;
  kernel::require(entries_[last].id == id, "a schema is taken back that is not the newest");
  entries_.erase(last);
}

kernel::Result<std::uint32_t> SchemaRegistry::find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.name() == name) {
      return entry.id;
    }
  }
  return std::unexpected(kernel::Status::NotFound);
}

std::string_view SchemaRegistry::name_of(std::uint32_t id) const {
  for (const Entry& entry : entries_) {
    if (entry.id == id) {
      return entry.name();
    }
  }
  return {};
}

std::uint32_t SchemaRegistry::lowest_free_id() const {
  std::uint32_t id = kFirstChosenSchema;
  // One of kMaxSchemas + 1 neighbouring numbers is free.
  while (!name_of(id).empty()) {
    ++id;
  }
  return id;
}

kernel::Result<std::uint32_t> SchemaRegistry::insert(std::string_view name, std::uint32_t id) {
  Entry entry{.id = id, .name_bytes = static_cast<std::uint8_t>(name.size()), .text = {}};
  std::copy(name.begin(), name.end(), entry.text);
  if (!entries_.push_back(entry)) {
    return std::unexpected(kernel::Status::NoMemory);
  }
  return id;
}

BindResult check_binding(const Channel& channel, std::uint32_t schema) {
  const std::uint32_t expected = channel.schema();
  if (schema == kUntyped || schema == expected) {
    return {.outcome = BindOutcome::Same, .expected = expected, .given = schema};
  }
  const BindOutcome outcome = expected == kUntyped ? BindOutcome::Bound : BindOutcome::Mismatch;
  return {.outcome = outcome, .expected = expected, .given = schema};
}

BindResult bind_channel(Channel& channel, std::uint32_t schema) {
  BindResult result = check_binding(channel, schema);
  if (result.outcome == BindOutcome::Bound) {
    const std::uint32_t now = channel.bind_schema(schema);
    if (now != schema) {  // another CPU was first
      result = {.outcome = BindOutcome::Mismatch, .expected = now, .given = schema};
    }
  }
  return result;
}

}  // namespace guest::graph
