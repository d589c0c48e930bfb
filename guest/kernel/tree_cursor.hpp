// Reads a flattened device tree token by token, with libfdt, checking as it goes.
//
// libfdt's look-up functions walk the tree from its start each time; a boot that asks for some forty properties would
// walk it forty times. One pass over the tokens costs a fixed number of instructions a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/named_error.hpp"

namespace guest::kernel {

enum class TreeToken : std::uint8_t { BeginNode, Property, EndNode, End, Error };

class TreeCursor {
 public:
  static constexpr unsigned kMaxDepth = 16;

  /// Checks the header. `memory` is what the tree lies in, 8-byte aligned; the tree may be shorter.
  /// Errors: tree-truncated, tree-misaligned, tree-bad-magic, tree-bad-version, tree-bad-structure.
  Outcome open(std::span<const std::byte> memory);

  /// The next token. After Error, error() tells why (tree-bad-structure); after End or Error do not call it again.
  /// Guarantees: one root, nesting of at most kMaxDepth, properties of a node before its children, names that are
  /// terminated within the tree.
  TreeToken next();

  [[nodiscard]] const NamedError& error() const { return error_; }
  /// Nodes that are open: 1 within the root.
  [[nodiscard]] unsigned depth() const { return depth_; }
  /// Name with unit address of the node that began last, or of the open ancestor at `depth` (root: 1, name "").
  [[nodiscard]] std::string_view node_name() const { return names_[depth_ == 0 ? 0 : depth_ - 1]; }
  [[nodiscard]] std::string_view node_name(unsigned depth) const { return names_[depth - 1]; }
  /// Of the property just read.
  [[nodiscard]] std::string_view property_name() const;
  /// Offset of its name among the strings: equal names nearly always have equal offsets.
  [[nodiscard]] std::uint32_t property_name_offset() const { return name_offset_; }
  [[nodiscard]] std::span<const std::byte> value() const { return value_; }

  /// Bytes of the tree.
  [[nodiscard]] std::uint32_t size_bytes() const { return size_bytes_; }
  /// For libfdt's own functions, after open().
  [[nodiscard]] const void* tree() const { return tree_; }
  /// libfdt's offset of the token just read.
  [[nodiscard]] int offset() const { return offset_; }

 private:
  TreeToken begin_node();
  TreeToken property();
  TreeToken broken(std::string_view what);

  const void* tree_ = nullptr;
  const std::byte* structure_ = nullptr;  ///< the structure block
  std::uint32_t size_bytes_ = 0;
  int offset_ = 0;
  int next_ = 0;
  unsigned depth_ = 0;
  bool children_seen_ = false;
  bool root_seen_ = false;
  std::uint32_t name_offset_ = 0;
  std::span<const std::byte> value_;
  std::string_view names_[kMaxDepth] = {};
  NamedError error_ = {};
};

/// Big-endian number of 4 or 8 bytes at `bytes`.
std::uint64_t read_be32(const std::byte* bytes);
std::uint64_t read_be64(const std::byte* bytes);

}  // namespace guest::kernel
