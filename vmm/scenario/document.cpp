#include "document.hpp"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace vmm::scenario {
namespace {

Position position(const YAML::Mark& mark) {
  if (mark.is_null()) return {1, 1};
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

/// Stops the parser. Thrown by the handler below through yaml-cpp and caught in parse_document().
struct Refused {
  Position at;
  std::string key;
  std::string found;
  std::string allowed;
};

/// Builds the tree from yaml-cpp's events. Its own Node is not used: it drops duplicate keys, shares aliased values by
/// reference, and has no bound.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Problems& problems) : problems_(problems) {}

  Node take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) throw Refused{position(mark), "", "a second document", "one document in a file"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.at = position(mark);
    accept(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw Refused{position(mark), path(), "an alias within the value that it names",
                    "aliases of values that ended before"};
    }
    count(found->second.nodes, found->second.bytes, position(mark));
    check_depth(found->second.depth, position(mark));
    place(Node(found->second.node));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    Node node;
    node.kind = tag == "?" ? Node::Kind::Plain : Node::Kind::Quoted;
    node.at = position(mark);
    node.text = value;
    accept(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Node::Kind::List);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Node::Kind::Map);
  }
  void OnMapEnd() override { close(); }

 private:
  /// A list or map that is not complete yet.
  struct Frame {
    Node node;
    YAML::anchor_t anchor = YAML::NullAnchor;
    std::size_t nodes_before = 0;  ///< counts when it started
    std::size_t bytes_before = 0;
    std::size_t depth = 1;  ///< of the node: 1 and the depth of the deepest value in it
    std::map<std::string, Position, std::less<>> keys = {};
    std::optional<std::pair<std::string, Position>> key = {};  ///< Map: read, waiting for its value
  };

  /// A complete value that an anchor names, and what a copy of it costs.
  struct Anchored {
    Node node;
    std::size_t nodes;
    std::size_t bytes;
    std::size_t depth;
  };

  [[nodiscard]] bool expects_key() const {
    return !frames_.empty() && frames_.back().node.kind == Node::Kind::Map && !frames_.back().key;
  }

  [[nodiscard]] std::string path() const {
    std::string text;
    for (const Frame& frame : frames_) {
      if (frame.node.kind == Node::Kind::List) {
        text += '[' + std::to_string(frame.node.items.size()) + ']';
      } else if (frame.key) {
        text += (text.empty() ? "" : ".") + frame.key->first;
      }
    }
    return text;
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Refused{position(mark), path(), "the tag " + quote(tag), "values without tags"};
  }

  void count(std::size_t nodes, std::size_t bytes, Position at) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > limit::kNodes) {
      throw Refused{at, path(), "more than " + std::to_string(limit::kNodes) + " values, counting each use of an alias",
                    "at most that many"};
    }
    if (bytes_ > limit::kTextBytes) {
      throw Refused{at, path(),
                    "more than " + std::to_string(limit::kTextBytes) + " bytes of text, counting each use of an alias",
                    "at most that many"};
    }
  }

  /// Refuses a value that would not fit below the open ones; what is open grows by it.
  void check_depth(std::size_t depth, Position at) {
    if (frames_.size() + depth > limit::kDepth) {
      throw Refused{at, "", "values nested more than " + std::to_string(limit::kDepth) + " deep", "at most that depth"};
    }
    for (std::size_t i = 0; i < frames_.size(); ++i) {
      frames_[i].depth = std::max(frames_[i].depth, frames_.size() - i + depth);
    }
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    check_tag(mark, tag);
    const Position at = position(mark);
    if (expects_key())
      throw Refused{at, path(), kind == Node::Kind::Map ? "a map as key" : "a list as key", "texts as keys"};
    check_depth(1, at);
    Frame frame{.node = {}, .anchor = anchor, .nodes_before = nodes_, .bytes_before = bytes_};
    count(1, 0, at);
    frame.node.kind = kind;
    frame.node.at = at;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    const std::size_t nodes = nodes_ - frame.nodes_before;
    const std::size_t bytes = bytes_ - frame.bytes_before;
    remember(frame.anchor, {frame.node, nodes, bytes, frame.depth});
    place(std::move(frame.node));
  }

  void remember(YAML::anchor_t anchor, Anchored value) {
    if (anchor == YAML::NullAnchor) return;
    count(value.nodes, value.bytes, value.node.at);  // the kept copy costs memory too
    anchors_.insert_or_assign(anchor, std::move(value));
  }

  void accept(Node node, YAML::anchor_t anchor) {
    const std::size_t bytes = node.text.size();
    count(1, bytes, node.at);
    remember(anchor, {node, 1, bytes, 0});
    place(std::move(node));
  }

  /// Puts a complete value where it belongs: into the innermost list or map, or at the top.
  void place(Node node) {
    if (frames_.empty()) {
      root_ = std::move(node);
    } else if (frames_.back().node.kind == Node::Kind::List) {
      frames_.back().node.items.push_back(std::move(node));
    } else if (expects_key()) {
      take_key(std::move(node));
    } else {
      Frame& frame = frames_.back();
      const auto& [key, at] = *frame.key;
      if (node.kind == Node::Kind::Null) node.at = at;  // yaml-cpp's place is that of whatever comes next
      const auto [first, is_new] = frame.keys.try_emplace(key, at);
      if (is_new) {
        frame.node.entries.push_back({key, at, std::move(node)});
      } else {
        problems_.add(at, path(), "the key a second time (first in line " + std::to_string(first->second.line) + ")",
                      "each key once");
      }
      frame.key.reset();
    }
  }

  void take_key(Node node) {
    if (node.kind != Node::Kind::Plain && node.kind != Node::Kind::Quoted) {
      throw Refused{node.at, path(), "a key that is not a text", "texts as keys"};
    }
    if (node.kind == Node::Kind::Plain && node.text == "<<") {
      throw Refused{node.at, path(), "a merge key (<<)", "keys written out, or an alias for the whole value"};
    }
    if (node.text.size() > limit::kKeyBytes) {
      throw Refused{node.at, path(), "a key of " + std::to_string(node.text.size()) + " bytes",
                    "keys of at most " + std::to_string(limit::kKeyBytes) + " bytes"};
    }
    frames_.back().key.emplace(std::move(node.text), node.at);
  }

  Problems& problems_;
  Node root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t documents_ = 0;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
};

/// Length of the UTF-8 sequence at the start of `text` (RFC 3629: no surrogates, no overlong forms); 0 if it is none.
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return 0;
  }
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
  if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

/// What yaml-cpp would take, or take for something else: bytes that are not UTF-8, control bytes (NUL makes it guess
/// UTF-16), and tabs as indentation.
bool check_bytes(std::string_view text, Problems& problems) {
  static constexpr char kHex[] = "0123456789abcdef";
  Position at{1, 1};
  bool indenting = true;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::string name = std::string("byte 0x") + kHex[byte >> 4] + kHex[byte & 15];
    const std::size_t length = utf8_sequence(text.substr(i));
    if (length == 0) {
      problems.add(at, "", name + ", which is not UTF-8", "UTF-8 text");
      return false;
    }
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) {
      problems.add(at, "", "the control " + name,
                   "text without control characters; in double quotes, write \\x" + name.substr(7));
      return false;
    }
    if (indenting && byte == '\t') {
      problems.add(at, "", "a tab in the indentation", "spaces");
      return false;
    }
    indenting = byte == '\n' || byte == '\r' || (indenting && byte == ' ');
    if (byte == '\n') {
      at = {at.line + 1, 1};
    } else {
      at.column += length;
    }
    i += length;
  }
  return true;
}

}  // namespace

const Node* value_of(const Node& map, std::string_view key) {
  const auto entry = std::ranges::find(map.entries, key, &Node::Entry::key);
  return entry == map.entries.end() ? nullptr : &entry->value;
}

Position place(const Node& map, std::string_view key) {
  const Node* const value = value_of(map, key);
  return value == nullptr ? map.at : value->at;
}

std::optional<Node> parse_document(std::string_view text, Problems& problems) {
  static constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.size() > limit::kFileBytes) {
    problems.add({1, 1}, "", "a file of " + std::to_string(text.size()) + " bytes",
                 "at most " + std::to_string(limit::kFileBytes) + " bytes");
    return std::nullopt;
  }
  if (!check_bytes(text, problems)) return std::nullopt;
  try {
    // At the end of the file yaml-cpp takes a text without its closing quote as complete. The marker that ends a
    // document makes it complain.
    std::istringstream stream{std::string(text) + (text.ends_with('\n') ? "...\n" : "\n...\n")};
    YAML::Parser parser(stream);
    TreeBuilder builder(problems);
    parser.HandleNextDocument(builder);
    Node root = builder.take_root();
    if (root.kind == Node::Kind::Null) {
      problems.add({1, 1}, "", "an empty file", "a scenario, which starts with \"apiVersion: sis/v1\"");
      return std::nullopt;
    }
    parser.HandleNextDocument(builder);  // refuses a second document
    return root;
  } catch (const Refused& refused) {
    problems.add(refused.at, refused.key, refused.found, refused.allowed);
  } catch (const YAML::Exception& error) {
    const bool unclosed = error.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    problems.add(position(error.mark), "",
                 unclosed ? "a text in quotes that has not ended" : "what is not YAML (" + error.msg + ")",
                 unclosed ? "texts with a closing quote" : "YAML 1.2");
  } catch (const std::exception& error) {
    problems.add({1, 1}, "", std::string("what the YAML parser cannot read (") + error.what() + ")", "YAML 1.2");
  }
  return std::nullopt;
}

}  // namespace vmm::scenario
