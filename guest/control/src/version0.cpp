#include "version0.hpp"

#include <algorithm>
#include <array>

#include "connection.hpp"
#include "graph_common.hpp"
#include "version0_parts.hpp"

namespace guest::control {

namespace ctl = abi::control;
namespace error = abi::control::error;
using ctl::LegacyCommand;
using kernel::format_to;

namespace {

constexpr std::size_t kTokenBytes = sizeof(std::uint64_t);
constexpr std::size_t kMaxLine = 128;  ///< of an "OK", without its end

}  // namespace

struct Version0::Entry {
  LegacyCommand command;
  std::string_view name;
  ctl::Rights rights;
  Done (Version0::*handler)(Fields);
  std::size_t least_bytes;  ///< of the arguments
  std::size_t most_bytes;
  std::size_t step = 1;  ///< lengths between differ by this
};

constexpr Version0::Entry Version0::kEntries[] = {
    {LegacyCommand::CreateGraph, "CreateGraph", ctl::Rights::Admin, &Version0::create_graph, 0, 0},
    {LegacyCommand::AddChannel, "AddChannel", ctl::Rights::Admin, &Version0::add_channel, 2, 2},
    {LegacyCommand::AddOperator, "AddOperator", ctl::Rights::Admin, &Version0::add_operator, 10, 10},
    {LegacyCommand::StartGraph, "StartGraph", ctl::Rights::Submit, &Version0::start_graph, 4, 4},
    {LegacyCommand::AddOperatorTyped, "AddOperatorTyped", ctl::Rights::Admin, &Version0::add_operator_typed, 18, 18},
    {LegacyCommand::EnableDeterministic, "EnableDeterministic", ctl::Rights::Admin, &Version0::enable_deterministic, 24,
     24},
    {LegacyCommand::LlmLoad, "LlmLoad", ctl::Rights::Admin, &Version0::llm_load, 0, 8, 8},
    {LegacyCommand::LlmInferStart, "LlmInferStart", ctl::Rights::Submit, &Version0::llm_infer_start, 2,
     ctl::kMaxPayloadBytes},
    {LegacyCommand::LlmInferPoll, "LlmInferPoll", ctl::Rights::Submit, &Version0::llm_infer_poll, 4, 6, 2},
    {LegacyCommand::LlmCancel, "LlmCancel", ctl::Rights::Submit, &Version0::llm_cancel, 4, 4},
};

const Version0::Entry* Version0::find(std::uint8_t command) {
  const auto is_it = [command](const Entry& entry) { return static_cast<std::uint8_t>(entry.command) == command; };
  const Entry* const found = std::find_if(std::begin(kEntries), std::end(kEntries), is_it);
  return found == std::end(kEntries) ? nullptr : found;
}

// ---- frames and answers ----

Version0::Done Version0::check_length(const Entry& entry, std::size_t bytes) {
  if (bytes >= entry.least_bytes && bytes <= entry.most_bytes && (bytes - entry.least_bytes) % entry.step == 0) {
    return {};
  }
  kernel::FixedText<48> allowed;
  if (entry.least_bytes == entry.most_bytes) {
    format_to(allowed, "{}", entry.least_bytes);
  } else {
    format_to(allowed, "{} {} {}", entry.least_bytes, entry.step == 1 ? "to" : "or", entry.most_bytes);
  }
  return refuse(error::kBadArgument, "", "{}: found {} bytes behind the token, allowed: {}", entry.name, bytes,
                allowed.view());
}

void Version0::handle(const Frame& frame) {
  if (frame.header.flags != 0) {
    return connection_.bad_frame(ctl::kNoRequest, error::kMalformedFrame, "the flags of a frame must be 0");
  }
  if (frame.payload.size() < kTokenBytes) {
    connection_.bad_frame(ctl::kNoRequest, error::kMalformedFrame, "the payload is too short for a token of 8 bytes");
    return connection_.strike();
  }
  Fields fields(frame.payload);
  if (!connection_.accept_legacy(fields.u64())) {
    return;
  }
  const Entry* const entry = find(frame.header.command);
  if (entry == nullptr) {
    kernel::FixedText<96> message;
    format_to(message, "{:#x} is no command, allowed: 0x1 to 0x6, 0x10 to 0x13", frame.header.command);
    return connection_.bad_frame(ctl::kNoRequest, error::kUnknownCommand, message.view());
  }
  connection_.asked_.op = entry->name;
  connection_.asked_.needed = entry->rights;
  if (!ctl::allows(connection_.grant_.rights, entry->rights)) {
    return answer(refuse(error::kForbidden, "", "{} needs rights {:#x}, the token gives {:#x}", entry->name,
                         static_cast<unsigned>(entry->rights), static_cast<unsigned>(connection_.grant_.rights)));
  }
  if (const Done checked = check_length(*entry, fields.size()); !checked) {
    return answer(checked);
  }
  answer((this->*entry->handler)(fields));
}

/// Of a command that has not answered itself: why it was not done.
void Version0::answer(const Done& done) {
  if (!done) {
    connection_.send_refusal(ctl::kNoRequest, done.error());
  }
}

void Version0::complete(std::span<const std::byte> result) {
  operation_ = nullptr;
  answer(then_ == Then::Create   ? replace_graph()
         : then_ == Then::Report ? report_run(*parse_cbor(result))
                                 : report_model(find_cbor(*parse_cbor(result), "model")->text()));
  connection_.pump();
}

void Version0::fail(const Refusal& refusal) {
  operation_ = nullptr;
  connection_.send_refusal(ctl::kNoRequest, refusal);
  connection_.pump();
}

void Version0::cancel() {
  Operation* const operation = operation_;
  operation_ = nullptr;
  operation->cancel();
}

/// Has a command of the table done; rights were looked at before. Nothing: it is waited for. The result is there until
/// the next command runs.
Version0::Ran Version0::run(std::string_view name, const Words& words) {
  const Command* const command = find_command(name);
  kernel::require(command != nullptr, "a command of version 0 is not in the table");
  const auto arguments = Arguments::parse_words(command->arguments, words.views(), {});
  if (!arguments) {
    return std::unexpected(arguments.error());
  }
  Services& services = connection_.server_.services_;
  services.caller = connection_.principal();
  CborWriter writer = connection_.body_writer();
  ResultMap result(writer);
  const auto handled = command->handler(services, *arguments, *this, result);
  if (!handled) {
    return std::unexpected(handled.error());
  }
  if (*handled == Handled::Later) {
    return std::nullopt;
  }
  result.finish();
  return *parse_cbor(writer.written());
}

// ---- building ----

Version0::Done Version0::create_graph(Fields) {
  const graph::GraphEntry* const old = graph::graph_set().find(kVersion0Graph);
  if (old == nullptr || old->runner->report().state == graph::RunState::Idle) {
    return replace_graph();
  }
  (void)run("graph stop", Words());  // refused if it is ending already
  return wait_for_end(Then::Create);
}

Version0::Done Version0::replace_graph() {
  const auto replaced = graph::graph_set().replace({.name = kVersion0Graph});
  if (!replaced) {
    return refuse_graph(replaced.error());
  }
  connection_.send_done("OK GRAPH name=v0");
  return {};
}

Version0::Done Version0::add_channel(Fields arguments) {
  const graph::GraphEntry* const entry = graph::graph_set().find(kVersion0Graph);
  const std::size_t id = entry == nullptr ? 0 : entry->graph->channels().size();
  Words words;
  words.add("id", id);
  words.add("capacity", arguments.u16());
  if (const auto ran = run("graph add-channel", words); !ran) {
    return std::unexpected(ran.error());
  }
  kernel::FixedText<kMaxLine> line;
  format_to(line, "OK CHANNEL id={}", id);
  connection_.send_done(line.view());
  return {};
}

struct Version0::OperatorFields {
  std::uint32_t id;
  std::uint16_t in;
  std::uint16_t out;
  std::uint8_t priority;
  std::uint8_t stage;
  std::uint32_t in_schema = graph::kUntyped;
  std::uint32_t out_schema = graph::kUntyped;

  static OperatorFields take(Fields& from) {
    // In the order of the payload: an initialiser list is evaluated from left to right.
    return {.id = from.u32(), .in = from.u16(), .out = from.u16(), .priority = from.u8(), .stage = from.u8()};
  }
};

Version0::Done Version0::add_operator(Fields arguments) { return add_operator(OperatorFields::take(arguments)); }

Version0::Done Version0::add_operator_typed(Fields arguments) {
  OperatorFields fields = OperatorFields::take(arguments);
  fields.in_schema = arguments.u32();
  fields.out_schema = arguments.u32();
  graph::SchemaRegistry& schemas = graph::graph_set().schemas();
  kernel::BoundedArray<std::uint32_t, 2> registered;
  Done done;
  for (const std::uint32_t id : {fields.in_schema, fields.out_schema}) {
    if (done && id != graph::kUntyped && schemas.name_of(id).empty()) {
      done = register_schema(id);
      if (done) {
        kernel::require(registered.push_back(id), "an operator has more schemas");
      }
    }
  }
  if (done) {
    done = add_operator(fields);
  }
  while (!done && !registered.empty()) {
    const std::size_t last = registered.size() - 1;
    schemas.take_back(registered[last]);
    registered.erase(last);
  }
  return done;
}

/// Clients of version 0 number schemas as they like, and cannot register any.
Version0::Done Version0::register_schema(std::uint32_t id) {
  kernel::FixedText<32> name;
  format_to(name, "v0-{}", id);
  Words words(Words::Of::Nothing);
  words.add("name", name.view());
  words.add("id", id);
  const auto ran = run("graph schema", words);
  return ran ? Done() : std::unexpected(ran.error());
}

namespace {

/// What an operator of version 0 does follows from its channels: it says nothing of its kind.
std::string_view kind_of(bool has_input, bool has_output) {
  return !has_input ? "synthetic-source" : has_output ? "split" : "sink";
}

}  // namespace

Version0::Done Version0::add_operator(const OperatorFields& fields) {
  const bool has_input = fields.in != graph::kNoChannel;
  const bool has_output = fields.out != graph::kNoChannel;
  if (!has_input && !has_output) {
    return refuse("graph-bad-operator", "", "operator {} has neither an input nor an output", fields.id);
  }
  if (fields.stage >= graph::kStages) {
    return refuse(error::kBadArgument, "stage", "stage: found {}, allowed: an integer from 0 to {}", fields.stage,
                  graph::kStages - 1);
  }
  const graph::SchemaRegistry& schemas = graph::graph_set().schemas();
  kernel::FixedText<graph::kMaxName> name;
  format_to(name, "op{}", fields.id);
  Words words;
  words.add("id", fields.id);
  words.add("name", name.view());
  words.add("kind", kind_of(has_input, has_output));
  words.add("priority", fields.priority);
  words.add("stage", to_string(static_cast<graph::Stage>(fields.stage)));
  if (has_input) {
    words.add("inputs", fields.in);
  }
  if (has_output) {
    words.add("outputs", fields.out);
  }
  if (fields.in_schema != graph::kUntyped) {
    words.add("in_schema", schemas.name_of(fields.in_schema));
  }
  if (fields.out_schema != graph::kUntyped) {
    words.add("out_schema", schemas.name_of(fields.out_schema));
  }
  if (const auto ran = run("graph add-operator", words); !ran) {
    return std::unexpected(ran.error());
  }
  kernel::FixedText<kMaxLine> line;
  format_to(line, "OK OPERATOR id={} kind={}", fields.id, kind_of(has_input, has_output));
  connection_.send_done(line.view());
  return {};
}

Version0::Done Version0::enable_deterministic(Fields arguments) {
  std::array<sched::Time, 3> times{};
  constexpr std::string_view kNames[] = {"wcet_ns", "period_ns", "deadline_ns"};
  for (std::size_t i = 0; i < times.size(); ++i) {
    const std::uint64_t given = arguments.u64();
    if (given == 0 || given > static_cast<std::uint64_t>(sched::kMaxPeriod)) {
      return refuse(error::kBadArgument, kNames[i], "{}: found {}, allowed: an integer from 1 to {}", kNames[i], given,
                    sched::kMaxPeriod);
    }
    times[i] = static_cast<sched::Time>(given);
  }
  graph::GraphEntry* const entry = graph::graph_set().find(kVersion0Graph);
  if (entry == nullptr) {
    return refuse("graph-unknown", "", "there is no graph '{}': CreateGraph makes it", kVersion0Graph);
  }
  const sched::ServerParameters server{.budget = times[0], .period = times[1], .deadline = times[2]};
  if (const auto set = entry->runner->set_server(server); !set) {
    return refuse_graph(set.error());
  }
  kernel::FixedText<kMaxLine> line;
  format_to(line, "OK DETERMINISTIC density_ppm={}", sched::density(server));
  connection_.send_done(line.view());
  return {};
}

// ---- running ----

Version0::Done Version0::start_graph(Fields arguments) {
  Words words;
  steps_ = arguments.u32();
  words.add("steps", steps_);
  if (const auto started = run("graph start", words); !started) {
    return std::unexpected(started.error());
  }
  return wait_for_end(Then::Report);
}

Version0::Done Version0::wait_for_end(Then then) {
  then_ = then;
  const auto waited = run("graph wait", Words());
  if (!waited) {
    return std::unexpected(waited.error());
  }
  if (!*waited) {
    return {};  // complete() answers
  }
  return then == Then::Create ? replace_graph() : report_run(**waited);
}

namespace {

/// The code of a run that did not end as it should.
std::string_view code_of(std::string_view end) {
  constexpr std::string_view kCodes[] = {"graph-starved", "graph-deadlock", "graph-stopped", "graph-failed"};
  const auto* const found = std::ranges::find_if(kCodes, [end](std::string_view code) { return code.ends_with(end); });
  kernel::require(found != std::end(kCodes), "a run of version 0 has ended in no known way");
  return *found;
}

}  // namespace

Version0::Done Version0::report_run(const CborValue& run) {
  const std::string_view end = find_cbor(run, "end")->text();
  const std::uint64_t executions = find_cbor(run, "executions")->number;
  const std::uint64_t ran_ns = find_cbor(run, "ran_ns")->number;
  if (end != to_string(graph::RunEnd::Finished)) {
    const auto why = find_cbor(run, "why");
    return refuse(code_of(end), "", "the run has ended after {} executions in {} ns{}{}", executions, ran_ns,
                  why ? ": " : "", why ? why->text() : "");
  }
  kernel::FixedText<kMaxLine> line;
  format_to(line, "OK RUN steps={} executions={} ns={}", steps_, executions, ran_ns);
  connection_.send_done(line.view());
  return {};
}

}  // namespace guest::control
