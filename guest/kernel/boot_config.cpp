#include "guest/kernel/boot_config.hpp"

#include <algorithm>
#include <cstring>

#include "guest/kernel/heap.hpp"
#include "tree_cursor.hpp"

namespace guest::kernel {
namespace {

namespace names = abi::boot_config;
using Bytes = std::span<const std::byte>;

enum class Node : std::uint8_t { Root, Boot, Control };

class ScenarioReader {
 public:
  ScenarioReader(TreeCursor& cursor, BootConfig& out) : cursor_(cursor), out_(out) {}

  Outcome read() {
    for (;;) {
      Outcome outcome;
      switch (cursor_.next()) {
        case TreeToken::BeginNode:
          outcome = begin_node();
          break;
        case TreeToken::Property:
          outcome = property();
          break;
        case TreeToken::EndNode:
          node_ = Node::Root;  // nodes have no children but the root's
          break;
        case TreeToken::End:
          return finish();
        case TreeToken::Error:
          return std::unexpected(cursor_.error());
      }
      if (!outcome) {
        return outcome;
      }
    }
  }

 private:
  /// One known property; its bit in seen_ is its position in kKnown.
  struct Known {
    Node node;
    std::string_view name;
    Outcome (ScenarioReader::*read)();
  };
  static const Known kKnown[];

  [[nodiscard]] std::string_view path() const {
    return node_ == Node::Root ? "/" : node_ == Node::Boot ? "/boot" : "/control";
  }

  Outcome begin_node() {
    const std::string_view name = cursor_.node_name();
    if (cursor_.depth() == 1) {
      return {};
    }
    const bool boot = cursor_.depth() == 2 && name == names::kBootNode;
    if (!boot && (cursor_.depth() != 2 || name != names::kControlNode)) {
      return fail("tree-unknown-node", "'{}' in {}; known are '{}' and '{}' in /", escaped(name.substr(0, 64)), path(),
                  std::string_view(names::kBootNode), std::string_view(names::kControlNode));
    }
    node_ = boot ? Node::Boot : Node::Control;
    bool& seen = boot ? boot_seen_ : control_seen_;
    if (seen) {
      return fail("tree-duplicate", "node {} is there twice", path());
    }
    seen = true;
    return {};
  }

  Outcome property() {
    const std::string_view name = cursor_.property_name();
    std::uint32_t bit = 1;
    for (const Known* known = kKnown; known->read != nullptr; ++known, bit <<= 1) {
      if (known->node != node_ || known->name != name) {
        continue;
      }
      if ((seen_ & bit) != 0) {
        return fail("tree-duplicate", "property '{}' of {} is there twice", name, path());
      }
      seen_ |= bit;
      return (this->*known->read)();
    }
    return fail("tree-unknown-property", "'{}' of {}", escaped(name.substr(0, 64)), path());
  }

  /// The value as one NUL-terminated text.
  std::expected<std::string_view, NamedError> text() {
    const Bytes bytes = cursor_.value();
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
    if (all.empty() || all.find('\0') != all.size() - 1) {
      return bad_value("one text ended by a NUL");
    }
    return all.substr(0, all.size() - 1);
  }

  /// Does not show the value: it may be secret.
  std::unexpected<NamedError> bad_value(std::string_view expected) {
    return fail("tree-bad-value", "'{}' of {} ({} bytes): expected {}", cursor_.property_name(), path(),
                cursor_.value().size(), expected);
  }

  Outcome read_compatible() {
    const auto value = text();
    if (!value || *value != names::kCompatible) {
      return fail("tree-bad-compatible", "'{}', expected '{}'",
                  escaped(value ? value->substr(0, 64) : std::string_view("(not a text)")),
                  std::string_view(names::kCompatible));
    }
    compatible_ = true;
    return {};
  }

  Outcome read_name() {
    const auto value = text();
    if (!value) {
      return std::unexpected(value.error());
    }
    if (value->empty() || value->size() > BootConfig::kMaxName) {
      return bad_value("1 to 128 characters");
    }
    out_.name.write(*value);
    return {};
  }

  Outcome read_unix_time() {
    if (cursor_.value().size() != 8) {
      return bad_value("8 bytes");
    }
    out_.unix_time_ns = read_be64(cursor_.value().data());
    return {};
  }

  Outcome read_verbosity() {
    const auto value = text();
    Verbosity verbosity{};
    if (!value || !parse_verbosity(*value, verbosity)) {
      return bad_value("'quiet', 'info' or 'debug'");
    }
    out_.verbosity = verbosity;
    return {};
  }

  Outcome read_key() {
    const Bytes bytes = cursor_.value();
    ControlKey key;
    if (bytes.size() != key.size()) {
      return bad_value("32 bytes");
    }
    std::transform(bytes.begin(), bytes.end(), key.begin(), [](std::byte b) { return static_cast<std::uint8_t>(b); });
    out_.control_key = key;
    return {};
  }

  Outcome read_test_services() {
    if (!cursor_.value().empty()) {
      return bad_value("no value");
    }
    out_.test_services = true;
    return {};
  }

  [[nodiscard]] Outcome finish() const {
    if (!compatible_) {
      return fail("tree-missing-property", "'compatible' of /");
    }
    if (control_seen_ && !out_.control_key) {
      return fail("tree-missing-property", "'{}' of /control", std::string_view(names::kControlKey));
    }
    return {};
  }

  TreeCursor& cursor_;
  BootConfig& out_;
  Node node_ = Node::Root;
  std::uint32_t seen_ = 0;
  bool compatible_ = false;
  bool boot_seen_ = false;
  bool control_seen_ = false;
};

const ScenarioReader::Known ScenarioReader::kKnown[] = {
    {Node::Root, "compatible", &ScenarioReader::read_compatible},
    {Node::Root, names::kName, &ScenarioReader::read_name},
    {Node::Root, names::kUnixTimeNs, &ScenarioReader::read_unix_time},
    {Node::Boot, names::kVerbosity, &ScenarioReader::read_verbosity},
    {Node::Control, names::kControlKey, &ScenarioReader::read_key},
    {Node::Control, names::kControlTestServices, &ScenarioReader::read_test_services},
    {Node::Root, {}, nullptr},
};

}  // namespace

Outcome read_scenario_tree(std::span<const std::byte> tree, BootConfig& out) {
  out = BootConfig{};
  if (tree.size() > names::kMaxTreeBytes) {
    return fail("tree-too-large", "{} bytes, at most {}", tree.size(), names::kMaxTreeBytes);
  }
  TreeCursor cursor;
  Outcome outcome = cursor.open(tree);
  if (outcome) {
    outcome = ScenarioReader(cursor, out).read();
  }
  if (!outcome) {
    out = BootConfig{};
  }
  return outcome;
}

Outcome read_boot_config(std::span<const std::byte> bytes, Heap& heap, Archive& archive, BootConfig& out) {
  out = BootConfig{};
  if (Outcome outcome = archive.open(bytes); !outcome) {
    return outcome;
  }
  const auto file = archive.find(names::kScenarioFile);
  if (!file) {
    return fail("config-missing", "the archive has no '{}'", std::string_view(names::kScenarioFile));
  }
  if (file->data.size() > names::kMaxTreeBytes) {
    return fail("tree-too-large", "{} bytes, at most {}", file->data.size(), names::kMaxTreeBytes);
  }
  // Files in a cpio archive are aligned to 4, libfdt wants 8.
  void* const copy = heap.allocate(file->data.size());
  if (copy == nullptr) {
    return fail("config-no-memory", "{} bytes for '{}'", file->data.size(), std::string_view(names::kScenarioFile));
  }
  std::copy(file->data.begin(), file->data.end(), static_cast<std::byte*>(copy));
  Outcome outcome = read_scenario_tree({static_cast<const std::byte*>(copy), file->data.size()}, out);
  heap.free(copy);
  return outcome;
}

}  // namespace guest::kernel
