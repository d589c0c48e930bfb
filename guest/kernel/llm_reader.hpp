// Reads /llm of the scenario tree: who signs models, which are in the archive, and the limits of the service that runs
// them.
#pragma once

#include <cstdint>
#include <optional>
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
  Outcome property() { return read_known(kKnown, *this, node_, node_ == Node::Llm ? seen_ : item_seen_); }
  Outcome end_node();

 private:
  enum class Node : std::uint8_t { Outside, Llm, Model, Class };
  struct Known {
    Node node;
    std::string_view name;
    Outcome (LlmReader::*read)();
  };
  static const Known kKnown[];

  [[nodiscard]] std::string_view path() const override;
  ModelConfig& model() { return out_.models[out_.models.size() - 1]; }
  LlmClassConfig& client_class() { return out_.classes[out_.classes.size() - 1]; }

  template <typename Items>
  Outcome begin_item(Node node, std::string_view prefix, Items& items);
  template <typename Items>
  [[nodiscard]] Outcome check_item_name(std::string_view kind, const Items& items) const;
  /// Of 8 bytes.
  Outcome large(std::optional<std::uint64_t>& out, std::uint64_t min, std::uint64_t max) const;
  Outcome read_key();
  Outcome read_allow_unsigned();
  Outcome read_model_name();
  Outcome read_min_revision() { return small(model().min_revision, 1, ~std::uint32_t{0}); }
  Outcome read_load();
  Outcome read_server() { return small(out_.server, 0, abi::boot_config::kMaxServers - 1); }
  Outcome read_in_flight() { return small(out_.limits.in_flight, 1, abi::boot_config::kMaxRequests); }
  Outcome read_queue() { return small(out_.limits.queue, 1, abi::boot_config::kMaxRequests); }
  Outcome read_requests() { return small(out_.limits.requests, 1, abi::boot_config::kMaxRequests); }
  Outcome read_requests_per_owner() { return small(out_.limits.requests_per_owner, 1, abi::boot_config::kMaxRequests); }
  Outcome read_prompt_bytes() { return small(out_.limits.prompt_bytes, 1, abi::boot_config::kMaxPromptBytes); }
  Outcome read_stream_chunks() {
    return small(out_.limits.stream_chunks, abi::boot_config::kMinStreamChunks, abi::boot_config::kMaxStreamChunks);
  }
  Outcome read_step_tokens() { return small(out_.limits.step_tokens, 1, abi::boot_config::kMaxStepTokens); }
  Outcome read_sessions() { return small(out_.limits.sessions, 0, abi::boot_config::kMaxSessions); }
  Outcome read_session_bytes() { return large(out_.limits.session_bytes, 0, abi::boot_config::kMaxSessionBytes); }
  Outcome read_period() {
    return large(out_.limits.period_ns, abi::boot_config::kMinLlmPeriodNs, abi::boot_config::kMaxLlmPeriodNs);
  }
  Outcome read_tokens() { return large(out_.limits.tokens_per_period, 0, abi::boot_config::kMaxTokensPerPeriod); }
  Outcome read_cycles() { return large(out_.limits.cycles_per_period, 0, abi::boot_config::kMaxCyclesPerPeriod); }
  Outcome read_hold_periods() { return small(out_.limits.hold_periods, 1, abi::boot_config::kMaxHoldPeriods); }
  Outcome read_class_name();
  Outcome read_class_tokens() {
    return number(8, client_class().tokens_per_period, 0, abi::boot_config::kMaxTokensPerPeriod);
  }
  Outcome read_class_in_flight() { return small(client_class().in_flight, 0, abi::boot_config::kMaxRequests); }
  Outcome read_members();
  [[nodiscard]] bool is_member_elsewhere(std::string_view name) const;

  LlmConfig& out_;
  Node node_ = Node::Outside;
  bool was_there_ = false;
  std::uint64_t seen_ = 0;
  std::uint64_t item_seen_ = 0;  ///< of the model or class that is read
};

}  // namespace guest::kernel
