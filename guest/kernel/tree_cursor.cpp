#include "tree_cursor.hpp"

#include <libfdt.h>

namespace guest::kernel {
namespace {
constexpr std::uint32_t kTreeVersion = 17;  // Devicetree Specification v0.4, Header
constexpr int kPropertyHeaderBytes = 12;    // tag, length, name offset
constexpr int kTagBytes = 4;
}  // namespace

std::uint64_t read_be32(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    value = (value << 8) | static_cast<std::uint64_t>(bytes[i]);
  }
  return value;
}

std::uint64_t read_be64(const std::byte* bytes) { return (read_be32(bytes) << 32) | read_be32(bytes + 4); }

Outcome TreeCursor::open(std::span<const std::byte> memory) {
  // Only the address's low bits are looked at.
  if ((reinterpret_cast<std::uintptr_t>(memory.data()) & 7) != 0) {
    return fail("tree-misaligned", "the tree is at {}, expected a multiple of 8",
                static_cast<const void*>(memory.data()));
  }
  if (memory.size() < sizeof(fdt_header)) {
    return fail("tree-truncated", "{} bytes, a header alone has {}", memory.size(), sizeof(fdt_header));
  }
  const void* tree = memory.data();
  if (fdt_magic(tree) != FDT_MAGIC) {
    return fail("tree-bad-magic", "found {:#x}, expected {:#x}", static_cast<std::uint32_t>(fdt_magic(tree)),
                static_cast<std::uint32_t>(FDT_MAGIC));
  }
  if (fdt_version(tree) < kTreeVersion || fdt_last_comp_version(tree) > kTreeVersion) {
    return fail("tree-bad-version", "version {}, compatible with {}; expected {}",
                static_cast<std::uint32_t>(fdt_version(tree)), static_cast<std::uint32_t>(fdt_last_comp_version(tree)),
                kTreeVersion);
  }
  if (fdt_totalsize(tree) > memory.size()) {
    return fail("tree-truncated", "the header says {} bytes, there are {}",
                static_cast<std::uint32_t>(fdt_totalsize(tree)), memory.size());
  }
  if (const int code = fdt_check_header(tree); code != 0) {
    return fail("tree-bad-structure", "header: {}", std::string_view(fdt_strerror(code)));
  }
  tree_ = tree;
  structure_ = memory.data() + fdt_off_dt_struct(tree);
  size_bytes_ = fdt_totalsize(tree);
  next_ = 0;
  depth_ = 0;
  root_seen_ = false;
  return {};
}

TreeToken TreeCursor::broken(std::string_view what) {
  error_.name = "tree-bad-structure";
  error_.detail.clear();
  format_to(error_.detail, "at byte {} of the structure, in node '{}': {}", offset_, escaped(node_name()), what);
  return TreeToken::Error;
}

TreeToken TreeCursor::next() {
  for (;;) {
    offset_ = next_;
    const std::uint32_t tag = fdt_next_tag(tree_, offset_, &next_);
    if (next_ < 0) {
      return broken(next_ == -FDT_ERR_TRUNCATED ? "it ends too early" : "not a tag");
    }
    switch (tag) {
      case FDT_NOP:
        continue;
      case FDT_BEGIN_NODE:
        return begin_node();
      case FDT_PROP:
        return property();
      case FDT_END_NODE:
        if (depth_ == 0) {
          return broken("a node ends that did not begin");
        }
        --depth_;
        children_seen_ = true;
        return TreeToken::EndNode;
      default:  // FDT_END; fdt_next_tag() returns no others
        return depth_ == 0 && root_seen_ ? TreeToken::End : broken("the tree ends within a node");
    }
  }
}

TreeToken TreeCursor::begin_node() {
  if (depth_ == 0 && root_seen_) {
    return broken("a second root");
  }
  if (depth_ == kMaxDepth) {
    return broken("nodes are nested too deep");
  }
  // fdt_next_tag() found the NUL before next_, which is aligned up by at most three bytes. char aliases anything.
  const auto* const name = reinterpret_cast<const char*>(structure_ + offset_ + kTagBytes);
  std::string_view text(name, static_cast<std::size_t>(next_ - offset_ - kTagBytes));
  text = text.substr(0, text.find('\0'));
  root_seen_ = true;
  children_seen_ = false;
  names_[depth_++] = text;
  return TreeToken::BeginNode;
}

TreeToken TreeCursor::property() {
  if (depth_ == 0) {
    return broken("a property outside of the root");
  }
  if (children_seen_) {
    return broken("a property after a child node");
  }
  // fdt_next_tag() checked that header and value end before next_ and within the tree; the sum that it checked with may
  // have wrapped, so the length is compared with what lies between.
  const int bytes = next_ - offset_;
  const std::byte* const header = structure_ + offset_;
  if (bytes < kPropertyHeaderBytes ||
      read_be32(header + kTagBytes) > static_cast<std::uint64_t>(bytes - kPropertyHeaderBytes)) {
    return broken("a value runs over its end");
  }
  const auto length = static_cast<std::size_t>(read_be32(header + kTagBytes));
  name_offset_ = static_cast<std::uint32_t>(read_be32(header + kTagBytes + kTagBytes));
  value_ = {header + kPropertyHeaderBytes, length};
  return TreeToken::Property;
}

std::string_view TreeCursor::property_name() const {
  int length = 0;
  const char* const name =
      name_offset_ <= 0x7FFFFFFF ? fdt_get_string(tree_, static_cast<int>(name_offset_), &length) : nullptr;
  return name == nullptr ? std::string_view{} : std::string_view(name, static_cast<std::size_t>(length));
}

}  // namespace guest::kernel
