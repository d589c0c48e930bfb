// Version 0 of the protocol (docs/control-protocol-v0.md): frames of old binary clients, carried out by the commands of
// the table.
//
//   token --> rights --> arguments --> words --parse_words()--> handler --> "OK ...\n" or "ERR <code> <reason>\n"
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "guest/control/command.hpp"
#include "guest/control/frame.hpp"

namespace guest::control {

class Connection;

/// Longest answer, without its end, bytes.
inline constexpr std::size_t kMaxVersion0Line = 1024;

/// What the frames of one connection ask for, one after the other. There is one graph for all connections, and one
/// model.
class Version0 final : public Caller {
 public:
  explicit Version0(Connection& connection) : connection_(connection) {}

  /// Answers the frame, or waiting() is true and the answer comes later.
  void handle(const Frame& frame);
  /// The answer to the last frame waits for the end of a run; no other frame is to be handled.
  [[nodiscard]] bool waiting() const { return operation_ != nullptr; }
  /// The frame that waits gets no answer.
  void cancel();

  void complete(std::span<const std::byte> result) override;
  void fail(const Refusal& refusal) override;
  void defer(Operation& operation) override { operation_ = &operation; }
  /// A line has no place for events.
  bool has_room() override { return false; }
  bool emit(std::span<const std::byte>) override { return false; }

 private:
  class Fields;
  class Words;
  struct Entry;
  struct OperatorFields;
  using Done = std::expected<void, Refusal>;
  using Ran = std::expected<std::optional<CborValue>, Refusal>;
  /// What is done when that has ended which is waited for: a run, or a model's loading.
  enum class Then : std::uint8_t { Create, Report, ReportModel };

  static const Entry kEntries[];
  static const Entry* find(std::uint8_t command);
  static Done check_length(const Entry& entry, std::size_t bytes);

  // The commands. Each answers, or waits.
  Done create_graph(Fields arguments);
  Done add_channel(Fields arguments);
  Done add_operator(Fields arguments);
  Done start_graph(Fields arguments);
  Done add_operator_typed(Fields arguments);
  Done enable_deterministic(Fields arguments);
  // version0_llm.cpp
  Done llm_load(Fields arguments);
  Done llm_infer_start(Fields arguments);
  Done llm_infer_poll(Fields arguments);
  Done llm_cancel(Fields arguments);

  Done report_model(std::string_view id);
  Done replace_graph();
  Done report_run(const CborValue& run);
  Done add_operator(const OperatorFields& fields);
  Done register_schema(std::uint32_t id);
  Done wait_for_end(Then then);
  Ran run(std::string_view command, const Words& words);
  void answer(const Done& done);

  Connection& connection_;
  Operation* operation_ = nullptr;
  Then then_ = Then::Report;
  std::uint32_t steps_ = 0;  ///< of the run that is waited for
};

}  // namespace guest::control
