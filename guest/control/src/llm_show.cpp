// llmstats, llmsummary, llmjson, and the text of answers: what the service has done, for people and for scripts.
#include <algorithm>
#include <memory>
#include <new>

#include "llm_commands.hpp"
#include "llm_common.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Of `llmsummary`.
constexpr std::size_t kLastRequests = 8;

void add_counts(ResultMap& result, const llm::StatisticsSnapshot& now) {
  result.add("requests", now.requests);
  result.add("rejects", now.rejects);
  result.add("finished", now.finished);
  result.add("cancelled", now.cancelled);
  result.add("failed", now.failed);
  result.add("deadline_misses", now.deadline_misses);
  result.add("prompt_tokens", now.prompt_tokens);
  result.add("tokens_out", now.tokens_out);
  result.add("stream_chunks", now.stream_chunks);
  result.add("steps", now.steps);
  result.add("cycles", now.cycles);
  result.add("queue_depth", now.queue_depth);
  result.add("queue_depth_max", now.queue_depth_max);
  result.add("running", now.running);
  result.add("kept", now.kept);
  result.add("sessions", now.sessions);
  result.add("evicted_results", now.evicted_results);
  result.add("evicted_sessions", now.evicted_sessions);
}

HandlerResult add_statistics(Services& services, ResultMap& result) {
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  add_counts(result, (*llm)->service.statistics());
  const llm::Timings& timings = (*llm)->service.timings();
  const auto add_times = [&result](std::string_view name, const kernel::Histogram& times) {
    if (times.count() != 0) {
      add_histogram(result, name, times);
    }
  };
  add_times("infer", timings.infer);
  add_times("first_token", timings.first_token);
  add_times("token_gap", timings.gap);
  add_times("step", timings.step);
  return Handled::Now;
}

}  // namespace

HandlerResult handle_llmstats(Services& services, const Arguments&, Caller&, ResultMap& result) {
  return add_statistics(services, result);
}

HandlerResult handle_llmjson(Services& services, const Arguments&, Caller&, ResultMap& result) {
  return add_statistics(services, result);
}

HandlerResult handle_llmsummary(Services& services, const Arguments&, Caller&, ResultMap& result) {
  const auto llm = require_llm(services);
  if (!llm) {
    return std::unexpected(llm.error());
  }
  llm::Service& service = (*llm)->service;
  const std::size_t most = service.options().requests;
  const std::unique_ptr<llm::RequestStatus[]> all(new (std::nothrow) llm::RequestStatus[most]);
  if (all == nullptr) {
    return refuse(error::kBusy, "", "no memory for the requests");
  }
  const llm::StatisticsSnapshot now = service.statistics();
  const llm::BudgetStatus budget = service.budget();
  result.add("models", service.models({}));
  result.add("queued", now.queue_depth);
  result.add("running", now.running);
  result.add("requests", now.requests);
  result.add("rejects", now.rejects);
  result.add("tokens_out", now.tokens_out);
  result.add("tokens_per_period", budget.limit);
  result.add("period_tokens", budget.used + budget.reserved);
  const std::size_t count = std::min(service.list(0, {all.get(), most}), most);
  const std::size_t shown = std::min(count, kLastRequests);
  CborWriter& writer = result.key_for("last");
  writer.array(shown);
  for (const llm::RequestStatus& status : std::span(all.get(), count).last(shown)) {
    ResultMap one(writer);
    one.add("id", status.id);
    one.add("model", status.model.view());
    one.add("state", to_string(status.state));
    one.add("stop", to_string(status.stop));
    one.add("tokens", status.tokens);
    add_span(one, "took_ns", status.submitted_ns, status.finished_ns);
    one.finish();
  }
  return Handled::Now;
}

namespace {

void write_json(kernel::TextOutput& output, const CborValue& value);

void write_json_text(kernel::TextOutput& output, std::string_view text) {
  output.write("\"");
  for (const char& c : text) {
    if (c == '"' || c == '\\') {
      output.write("\\");
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      kernel::format_to(output, "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      output.write({&c, 1});
    }
  }
  output.write("\"");
}

void write_json_items(kernel::TextOutput& output, const CborValue& container, bool is_map) {
  output.write(is_map ? "{" : "[");
  CborItems items(container);
  bool first = true;
  while (const auto item = items.next()) {
    output.write(first ? "" : ",");
    first = false;
    write_json(output, *item);
    if (is_map) {
      output.write(":");
      write_json(output, *items.next());
    }
  }
  output.write(is_map ? "}" : "]");
}

/// Of what the commands above answer: numbers of 0 or more, texts, truth values, maps, arrays.
void write_json(kernel::TextOutput& output, const CborValue& value) {
  switch (value.type) {
    case CborType::Unsigned:
      kernel::format_to(output, "{}", value.number);
      break;
    case CborType::Text:
      write_json_text(output, value.text());
      break;
    case CborType::Bool:
      output.write(value.number != 0 ? "true" : "false");
      break;
    case CborType::Map:
    case CborType::Array:
      write_json_items(output, value, value.type == CborType::Map);
      break;
    default:
      output.write("null");
      break;
  }
}

/// A model's text: its lines are lines, and nothing else of it controls a terminal.
void write_lines(kernel::TextOutput& output, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    write_visible(output, text.substr(0, end));
    output.write(end == text.size() ? "" : "\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string_view text_in(const CborValue& map, std::string_view key) {
  const auto value = find_cbor(map, key);
  return value && value->type == CborType::Text ? value->text() : std::string_view();
}

/// All but the text, on a line of its own.
void write_rest(kernel::TextOutput& output, const CborValue& result) {
  CborItems entries(result);
  bool first = true;
  while (const auto key = entries.next()) {
    const CborValue value = *entries.next();
    if (key->text() == "text" || value.type == CborType::Array) {
      continue;
    }
    kernel::format_to(output, "{}{}=", first ? "[" : " ", key->text());
    first = false;
    value.type == CborType::Text ? write_visible(output, value.text()) : write_json(output, value);
  }
  output.write("]\n");
}

}  // namespace

void render_llmjson(kernel::TextOutput& output, const CborValue& result) {
  write_json(output, result);
  output.write("\n");
}

void render_llm_answer(kernel::TextOutput& output, const CborValue& result) {
  const std::string_view text = text_in(result, "text");
  write_lines(output, text);
  output.write(text.empty() || text.ends_with('\n') ? "" : "\n");
  write_rest(output, result);
}

void render_llm_piece(kernel::TextOutput& output, const CborValue& event) {
  write_lines(output, text_in(event, "text"));
}

void render_llm_end(kernel::TextOutput& output, const CborValue& result) {
  write_lines(output, text_in(result, "text"));
  output.write("\n");
  write_rest(output, result);
}

}  // namespace guest::control
