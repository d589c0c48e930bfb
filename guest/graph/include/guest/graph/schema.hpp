// Schemas: what the tensors of a channel mean, as a number that has a name. The first operator that writes to a channel
// says which one it is; everybody after that must agree.
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/graph/channel.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/status.hpp"

namespace guest::graph {

inline constexpr std::uint32_t kUntyped = 0;
inline constexpr std::uint32_t kSchemaText = 1001;
inline constexpr std::uint32_t kSchemaTokens = 1002;
/// Where ids begin that the registry chooses.
inline constexpr std::uint32_t kFirstChosenSchema = 2000;

/// 1 to 32 bytes of [a-z0-9._-].
bool is_schema_name(std::string_view name);

/// Names and ids of schemas. From one thread at a time.
class SchemaRegistry {
 public:
  static constexpr std::size_t kMaxSchemas = 64;  ///< with the two that are there from the start
  static constexpr std::size_t kMaxNameBytes = 32;

  /// Knows "text" (kSchemaText) and "tokens" (kSchemaTokens).
  SchemaRegistry();
  SchemaRegistry(const SchemaRegistry&) = delete;
  SchemaRegistry& operator=(const SchemaRegistry&) = delete;

  /// The id of `name`: what it has, or the lowest free one from kFirstChosenSchema on. Invalid: not a name; NoMemory:
  /// the registry is full.
  kernel::Result<std::uint32_t> add(std::string_view name);
  /// Gives `name` the id `id`, again if it has that. Invalid: not a name; OutOfRange: kUntyped; Exists: the name has
  /// another id, or the id another name; NoMemory: the registry is full.
  kernel::Result<std::uint32_t> add(std::string_view name, std::uint32_t id);

  /// Takes back what add() has just registered, for whoever could not do the rest.
  void take_back(std::uint32_t id);

  /// NotFound: nobody has registered it.
  [[nodiscard]] kernel::Result<std::uint32_t> find(std::string_view name) const;
  /// Empty: the id has no name. As long as the registry lives.
  [[nodiscard]] std::string_view name_of(std::uint32_t id) const;

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// Calls `visit(id, name)` for each, in the order of registration.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Entry& entry : entries_) {
      visit(entry.id, entry.name());
    }
  }

 private:
  struct Entry {
    std::uint32_t id;
    std::uint8_t name_bytes;
    char text[kMaxNameBytes];
    [[nodiscard]] std::string_view name() const { return {text, name_bytes}; }
  };
  [[nodiscard]] std::uint32_t lowest_free_id() const;
  kernel::Result<std::uint32_t> insert(std::string_view name, std::uint32_t id);

  kernel::BoundedArray<Entry, kMaxSchemas> entries_;
};

enum class BindOutcome : std::uint8_t {
  Bound,     ///< the channel had no schema, and has this one now
  Same,      ///< it had this one, or the caller does not care (kUntyped)
  Mismatch,  ///< it has another one; nothing changed
};

struct [[nodiscard]] BindResult {
  BindOutcome outcome;
  std::uint32_t expected;  ///< what the channel had
  std::uint32_t given;
};

/// What bind_channel() would say now; changes nothing. For who must know of all its channels before it binds the first.
BindResult check_binding(const Channel& channel, std::uint32_t schema);
/// Has `channel` carry `schema`: the first one binds. From any CPU.
BindResult bind_channel(Channel& channel, std::uint32_t schema);

}  // namespace guest::graph
