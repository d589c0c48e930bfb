// A YAML file as a tree of plain values with their places. The only part that knows yaml-cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "problems.hpp"

namespace vmm::scenario {

/// A value of the file. Scalars keep their text; what it means is for the option that reads it (types.hpp).
struct Node {
  enum class Kind { Null, Plain, Quoted, List, Map };
  struct Entry;

  Kind kind = Kind::Null;
  Position at;
  std::string text;            ///< Plain, Quoted (also block texts: always a text, never a number)
  std::vector<Node> items;     ///< List
  std::vector<Entry> entries;  ///< Map, in the order of the file; keys are unique
};

struct Node::Entry {
  std::string key;
  Position at;  ///< of the key
  Node value;
};

/// The value of a key; null: the map has no such key, or it is no map.
const Node* value_of(const Node& map, std::string_view key);

/// Where that is; the place of the map without it.
Position place(const Node& map, std::string_view key);

/// What a file may be; more is refused before it costs memory or stack.
namespace limit {
inline constexpr std::size_t kFileBytes = 1024 * 1024;
inline constexpr std::size_t kDepth = 32;
inline constexpr std::size_t kNodes = 100'000;              ///< aliases counted as what they stand for
inline constexpr std::size_t kTextBytes = 4 * 1024 * 1024;  ///< of all scalars, aliases counted likewise
inline constexpr std::size_t kKeyBytes = 255;
}  // namespace limit

/// Parses one document. Nothing when it is not YAML or breaks a limit; `problems` then says where and why. Keys that
/// occur twice are reported and parsing goes on with the first. Tags and merge keys are refused; anchors and aliases
/// are expanded.
std::optional<Node> parse_document(std::string_view text, Problems& problems);

}  // namespace vmm::scenario
