// Reads /llm of the scenario tree: who signs models, and which are in the archive.
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/boot_config.hpp"
#include "property_reader.hpp"

namespace guest::kernel {

/// Whoever drives the cursor gives it the tokens of the node and of all below it.
class LlmReader final : private PropertyReader {
 public:
  LlmReader(TreeCursor& cursor, LlmConfig& out) : PropertyReader(cursor), out_(out) {}

  /// The node below the root that has this name is read here.
  static bool is_mine(std::string_view name) { return name == abi::boot_config::kLlmNode; }
  /// Within it: the next token is for this reader.
  [[nodiscard]] bool is_inside() const { return node_ != Node::Outside; }

  // Errors: tree-unknown-node, tree-unknown-property, tree-duplicate, tree-missing-property, tree-bad-value.
  Outcome begin_node();
  Outcome property() { return read_known(kKnown, *this, node_, node_ == Node::Model ? model_seen_ : seen_); }
  Outcome end_node();

 private:
  enum class Node : std::uint8_t { Outside, Llm, Model };
  struct Known {
    Node node;
    std::string_view name;
    Outcome (LlmReader::*read)();
  };
  static const Known kKnown[];

  [[nodiscard]] std::string_view path() const override;
  ModelConfig& model() { return out_.models[out_.models.size() - 1]; }

  Outcome read_key();
  Outcome read_allow_unsigned();
  Outcome read_model_name();
  Outcome read_min_revision() { return small(model().min_revision, 1, ~std::uint32_t{0}); }
  Outcome end_model();

  LlmConfig& out_;
  Node node_ = Node::Outside;
  bool was_there_ = false;
  std::uint64_t seen_ = 0;
  std::uint64_t model_seen_ = 0;
};

}  // namespace guest::kernel
