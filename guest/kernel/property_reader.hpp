// Values of properties in the scenario tree, and what is said of those that are not as they should be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "abi/boot_config.hpp"
#include "guest/kernel/named_error.hpp"
#include "tree_cursor.hpp"

namespace guest::kernel {

/// Of the property that the cursor has just read. Errors: tree-bad-value, unless another one is named.
class PropertyReader {
 protected:
  using Bytes = std::span<const std::byte>;
  using Text = std::expected<std::string_view, NamedError>;

  explicit PropertyReader(TreeCursor& cursor) : cursor_(cursor) {}
  ~PropertyReader() = default;

  /// Where the property is: "/boot", "a server".
  [[nodiscard]] virtual std::string_view path() const = 0;

  /// Does not show the value: it may be secret.
  std::unexpected<NamedError> bad_value(std::string_view expected) const;

  /// One NUL-terminated text, without the NUL.
  [[nodiscard]] Text text() const;
  /// The name of an item, as the monitor checks them: they are shown in replies and in reports.
  [[nodiscard]] Text item_name(std::size_t max_bytes = abi::boot_config::kMaxItemName) const;
  [[nodiscard]] Outcome flag() const;
  /// Of 4 or 8 bytes.
  Outcome number(std::size_t bytes, std::uint64_t& out, std::uint64_t min, std::uint64_t max) const;
  /// A time, in nanoseconds.
  Outcome time(std::uint64_t& out, std::uint64_t min = 1) const {
    return number(8, out, min, abi::boot_config::kMaxPeriodNs);
  }
  /// Of 4 bytes. `Target` has room for `max`, or is an optional that has.
  template <typename Target>
  Outcome small(Target& out, std::uint64_t min, std::uint64_t max) const {
    std::uint64_t value = 0;
    const Outcome outcome = number(4, value, min, max);
    if (outcome) {
      out = static_cast<std::uint32_t>(value);
    }
    return outcome;
  }

  /// The reader's function for the property: `known` ends with an entry without one, `node` is where the property is.
  /// The bit of a property in `seen` is its position in `known`. Errors: tree-duplicate, tree-unknown-property.
  template <typename Known, typename Reader, typename Node>
  Outcome read_known(const Known* known, Reader& reader, Node node, std::uint64_t& seen) const {
    const std::string_view name = cursor_.property_name();
    for (std::uint64_t bit = 1; known->read != nullptr; ++known, bit <<= 1) {
      if (known->node != node || known->name != name) {
        continue;
      }
      if ((seen & bit) != 0) {
        return fail("tree-duplicate", "property '{}' of {} is there twice", name, path());
      }
      seen |= bit;
      return (reader.*known->read)();
    }
    return fail("tree-unknown-property", "'{}' of {}", escaped(name.substr(0, 64)), path());
  }

  /// The node that has just begun is number `index` of those that start with `prefix`. Error: tree-unknown-node.
  [[nodiscard]] Outcome check_numbered(std::string_view prefix, std::size_t index) const;
  [[nodiscard]] Outcome unknown_node() const;

  TreeCursor& cursor_;
};

}  // namespace guest::kernel
