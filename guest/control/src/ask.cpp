// ask: a question about the kernel, answered by a model, and held against the figures that it was given.
//
//   handler: figures --> prompt --> Service::submit()     worker: chunks --changed--> turn, from the loop --> text
//                                                         at the end: check_answer() --> Caller::complete()
#include <memory>
#include <new>
#include <utility>

#include "ask_figures.hpp"
#include "graph_common.hpp"
#include "guest/control/utf8.hpp"
#include "guest/llm/explain/answer.hpp"
#include "guest/llm/explain/prompt.hpp"
#include "llm_commands.hpp"
#include "llm_common.hpp"
#include "utf8_stream.hpp"

namespace guest::control {

namespace error = abi::control::error;
namespace explain = llm::explain;

namespace {

constexpr std::string_view kModel = "sis-explain";
constexpr std::uint32_t kMostTokens = 64;  // answers have fewer
constexpr std::size_t kMaxText = 1024;
/// Of a name in an answer.
using ShownName = kernel::FixedText<explain::kMaxName + 16>;
/// Of a statement beside its text: two names, keys, a number and the word of a figure.
constexpr std::size_t kStatementBytes = 2 * (explain::kMaxName + 16) + 128;
/// The text as it was said, shown with names, and in statements; then the rest.
constexpr std::size_t kAnswerBytes = 4 * kMaxText + explain::kMaxStatements * kStatementBytes + 512;

/// Without the character in whose middle it was cut, if it was.
std::string_view whole_of(const kernel::TextBuffer& text) {
  std::string_view whole = text.view();
  while (!is_utf8(whole)) {
    whole.remove_suffix(1);
  }
  return whole;
}

/// Owns itself, as an LlmAnswer does. In the loop's thread.
class Ask final : public Operation, private LlmWaiter {
 public:
  Ask(Services& services, const llm::Caller& owner) : services_(services), owner_(owner) {}

  explain::Figures figures;

  void start(llm::RequestId id, Caller& caller) {
    id_ = id;
    caller_ = &caller;
    caller.defer(*this);
    services_.llm->waiters.add(*this);
    services_.work.raise(turn_);
  }
  void cancel() override {
    static_cast<void>(services_.llm->service.release(owner_, id_));  // it may have been released otherwise
    (void)detach();
  }

 private:
  static constexpr std::size_t kChunksPerTurn = 16;

  void llm_changed() override { services_.work.raise(turn_); }
  /// Nobody wakes it any more, but for this once: then it frees itself.
  Caller* detach() {
    services_.llm->waiters.remove(*this);
    services_.work.raise(turn_);
    return std::exchange(caller_, nullptr);
  }
  void turn();
  void end(const llm::RequestStatus& status);
  void add_answer(ResultMap& result, const llm::RequestStatus& status) const;
  void add_statement(ResultMap& result, const explain::Statement& statement) const;

  Services& services_;
  const llm::Caller owner_;
  llm::RequestId id_ = 0;
  Caller* caller_ = nullptr;  ///< null: it has ended, and frees itself in its next turn
  std::uint64_t next_ = 0;    ///< chunk
  Utf8Stream utf8_;
  kernel::FixedText<kMaxText> said_;
  kernel::WorkItem turn_{[](void* self) { static_cast<Ask*>(self)->turn(); }, this};
};

void Ask::turn() {
  if (caller_ == nullptr) {
    delete this;
    return;
  }
  llm::Service& service = services_.llm->service;
  llm::Chunk chunks[kChunksPerTurn];
  const auto count = service.read(owner_.owner, id_, next_, chunks);
  if (!count) {
    return detach()->fail(refuse_llm(count.error()).error());
  }
  for (const llm::Chunk& chunk : std::span(chunks).first(*count)) {
    utf8_.add(chunk.text(), said_);
  }
  next_ += *count;
  // After read(): nothing comes behind an end.
  const auto status = service.poll(owner_.owner, id_);
  if (!status) {
    return detach()->fail(refuse_llm(status.error()).error());
  }
  if (status->finished && next_ == status->chunks) {
    utf8_.finish(said_);
    end(*status);
  } else if (*count != 0) {
    services_.work.raise(turn_);  // others have their turn in between
  }
}

void Ask::end(const llm::RequestStatus& status) {
  static_cast<void>(services_.llm->service.release(owner_, id_));  // what it said is here
  if (has_error(status.stop)) {
    return detach()->fail(refuse_llm(status.error).error());
  }
  const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[kAnswerBytes]);
  if (memory == nullptr) {
    return detach()->fail(refuse(error::kBusy, "", "no memory for an answer").error());
  }
  CborWriter writer({memory.get(), kAnswerBytes});
  ResultMap result(writer);
  add_answer(result, status);
  result.finish();
  kernel::require(!writer.overflowed(), "an answer is longer than its room");
  detach()->complete(writer.written());
}

void Ask::add_answer(ResultMap& result, const llm::RequestStatus& status) const {
  const std::string_view all = whole_of(said_);
  const std::string_view said = all.substr(all.starts_with(' ') ? 1 : 0);
  const explain::Check check = explain::check_answer(figures, said);
  kernel::FixedText<2 * kMaxText> shown;
  explain::write_answer(shown, figures, said);
  result.add("answer", whole_of(shown));
  // One that was cut off may have gone on to say the opposite.
  result.add_bool("holds", check.holds() && status.stop == llm::StopReason::End && !said_.truncated());
  result.add("said", said);
  CborWriter& list = result.key_for("figures");
  list.array(check.statements.size());
  for (const explain::Statement& statement : check.statements) {
    ResultMap entry(list);
    add_statement(entry, statement);
    entry.finish();
  }
  result.add("model", status.model.view());
  result.add("stop", to_string(status.stop));
  result.add("prompt_tokens", status.prompt_tokens);
  result.add("tokens", status.tokens);
  result.add("cycles", status.cycles);
  add_span(result, "took_ns", status.submitted_ns, status.finished_ns);
}

void Ask::add_statement(ResultMap& result, const explain::Statement& statement) const {
  ShownName of;
  explain::write_name(of, figures, statement.subject);
  result.add("said", statement.text);
  result.add_bool("holds", statement.supported);
  if (!of.view().empty()) {
    result.add("of", whole_of(of));
  }
  if (!statement.figure.empty()) {
    result.add("figure", statement.figure);
  }
  if (!statement.shown.view().empty()) {
    ShownName shown;
    explain::write_name(shown, figures, statement.shown.view());
    result.add("is", whole_of(shown));
  }
  if (statement.value) {
    result.add("value", *statement.value);
  }
}

}  // namespace

HandlerResult handle_ask(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  if (const auto there = require_llm(services); !there) {
    return std::unexpected(there.error());
  }
  const graph::Graph* only = nullptr;
  if (arguments.has("graph")) {
    const auto entry = find_graph(arguments);
    if (!entry) {
      return std::unexpected(entry.error());
    }
    only = (*entry)->graph.get();
  }
  const llm::Caller owner = llm_caller(services);
  std::unique_ptr<Ask> ask(new (std::nothrow) Ask(services, owner));
  if (ask == nullptr) {
    return refuse(error::kBusy, "", "no memory for a question");
  }
  const std::string_view question = arguments.text("question");
  gather_figures(services, only, question, ask->figures);
  kernel::FixedText<explain::kMaxPrompt> prompt;
  explain::write_prompt(prompt, ask->figures, question);
  if (const std::uint32_t connection = services.caller.connection;
      connection != 0 && !services.llm->note_connection(connection)) {
    return refuse(error::kBusy, "", "too many connections have submitted something");
  }
  llm::RequestOptions options;
  options.model = arguments.text("model", kModel);
  options.max_tokens = kMostTokens;
  options.read_later = true;
  const auto id = services.llm->service.submit(owner, prompt.view(), options);
  if (!id) {
    return refuse_llm(id.error());
  }
  ask.release()->start(*id, caller);
  return Handled::Later;
}

namespace {

std::string_view text_in(const CborValue& map, std::string_view key) {
  const auto value = find_cbor(map, key);
  return value && value->type == CborType::Text ? value->text() : std::string_view();
}
bool flag_in(const CborValue& map, std::string_view key) {
  const auto value = find_cbor(map, key);
  return value && value->type == CborType::Bool && value->number != 0;
}

/// What a part of the answer rests on, or that it rests on nothing.
void render_statement(kernel::TextOutput& output, const CborValue& statement) {
  const auto field = [&](std::string_view before, std::string_view text) {
    output.write(text.empty() ? "" : before);
    kernel::write_escaped(output, text);
  };
  output.write(flag_in(statement, "holds") ? "  " : "! ");
  kernel::write_escaped(output, text_in(statement, "said"));
  field(flag_in(statement, "holds") ? ": " : ": NOT SO: ", text_in(statement, "of"));
  field(" ", text_in(statement, "figure"));
  if (const auto value = find_cbor(statement, "value"); value && value->type == CborType::Unsigned) {
    kernel::format_to(output, " {}", value->number);
  } else {
    field(" ", text_in(statement, "is"));
  }
  output.write("\n");
}

}  // namespace

void render_ask(kernel::TextOutput& output, const CborValue& result) {
  kernel::write_escaped(output, text_in(result, "answer"));
  output.write(flag_in(result, "holds") ? "\n" : "\nnot all of this is supported by figures:\n");
  if (const auto list = find_cbor(result, "figures"); list && list->type == CborType::Array) {
    CborItems items(*list);
    while (const auto item = items.next()) {
      render_statement(output, *item);
    }
  }
}

}  // namespace guest::control
