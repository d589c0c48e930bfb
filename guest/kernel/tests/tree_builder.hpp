// Device trees for tests, written with libfdt.
#pragma once

#include <libfdt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <list>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace guest::kernel::testing {

using ByteVector = std::vector<std::uint8_t>;

inline ByteVector cells(std::initializer_list<std::uint32_t> values) {
  ByteVector bytes;
  for (const std::uint32_t value : values) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  }
  return bytes;
}
inline ByteVector u64(std::uint64_t value) {
  return cells({static_cast<std::uint32_t>(value >> 32), static_cast<std::uint32_t>(value)});
}
/// With the NUL.
inline ByteVector text(std::string_view value) {
  ByteVector bytes(value.begin(), value.end());
  bytes.push_back(0);
  return bytes;
}

inline ByteVector texts(std::initializer_list<std::string_view> values) {
  ByteVector bytes;
  for (const std::string_view value : values) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    bytes.push_back(0);
  }
  return bytes;
}

/// A node that can be changed before it is written.
struct TreeNode {
  explicit TreeNode(std::string node_name) : name(std::move(node_name)) {}

  TreeNode& set(const std::string& property, ByteVector value) {
    properties[property] = std::move(value);
    return *this;
  }
  TreeNode& remove(const std::string& property) {
    properties.erase(property);
    return *this;
  }
  TreeNode& add(const std::string& child) { return children.emplace_back(child); }
  /// Existing child.
  TreeNode& at(std::string_view child) {
    for (TreeNode& node : children) {
      if (node.name == child) {
        return node;
      }
    }
    throw std::out_of_range("no such node");
  }
  void drop(std::string_view child) {
    children.remove_if([child](const TreeNode& node) { return node.name == child; });
  }

  std::string name;
  std::map<std::string, ByteVector> properties;
  std::list<TreeNode> children;
};

/// A tree in 8-byte aligned memory.
class TreeBlob {
 public:
  explicit TreeBlob(const TreeNode& root, std::span<const std::pair<std::uint64_t, std::uint64_t>> reserve = {})
      : words_(64 * 1024 / 8) {
    check(fdt_create(words_.data(), static_cast<int>(words_.size() * 8)));
    for (const auto& [base, size] : reserve) {
      check(fdt_add_reservemap_entry(words_.data(), base, size));
    }
    check(fdt_finish_reservemap(words_.data()));
    write(root);
    check(fdt_finish(words_.data()));
    words_.resize((fdt_totalsize(words_.data()) + 7) / 8);
  }
  explicit TreeBlob(std::span<const std::uint8_t> bytes) : words_((bytes.size() + 7) / 8) {
    std::copy(bytes.begin(), bytes.end(), data());
  }

  [[nodiscard]] std::span<const std::byte> bytes() const { return std::as_bytes(std::span(words_)); }
  [[nodiscard]] std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(words_.data()); }  // bytes of the words
  [[nodiscard]] std::size_t size() const { return words_.size() * 8; }

 private:
  static void check(int code) {
    if (code < 0) {
      throw std::runtime_error(fdt_strerror(code));
    }
  }
  void write(const TreeNode& node) {
    check(fdt_begin_node(words_.data(), node.name.c_str()));
    for (const auto& [name, value] : node.properties) {
      check(fdt_property(words_.data(), name.c_str(), value.data(), static_cast<int>(value.size())));
    }
    for (const TreeNode& child : node.children) {
      write(child);
    }
    check(fdt_end_node(words_.data()));
  }

  std::vector<std::uint64_t> words_;
};

}  // namespace guest::kernel::testing
