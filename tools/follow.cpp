#include "tools/follow.hpp"

#include <algorithm>
#include <ostream>

#include "tools/interruptible.hpp"
#include "tools/llm_answer.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

/// So long Ctrl-C may go unnoticed.
constexpr std::chrono::milliseconds kLookEvery{100};
/// Of a tensor's bytes.
constexpr std::size_t kShownBytes = 32;

std::string hex(const json::binary_t& bytes, std::size_t most) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < std::min(bytes.size(), most); ++i) {
    out += {kDigits[bytes[i] >> 4], kDigits[bytes[i] & 0xF]};
  }
  return out + (bytes.size() > most ? "..." : "");
}

std::string value_text(const json& value) {
  if (value.is_binary()) return hex(value.get_binary(), kShownBytes);
  return printable(value.is_string() ? value.get<std::string>() : with_hex(value).dump(-1, ' ', true));
}

/// "key=value  key=value", those that tell when and where first.
std::string beside(const json& map) {
  constexpr const char* kFirst[] = {"time_ns", "cpu", "event"};
  std::string out;
  const auto add = [&out](const std::string& key, const json& value) {
    out += (out.empty() ? "" : "  ") + printable(key) + "=" + value_text(value);
  };
  for (const char* const key : kFirst) {
    if (map.contains(key)) add(key, map[key]);
  }
  for (const auto& [key, value] : map.items()) {
    if (std::ranges::find(kFirst, key) == std::end(kFirst)) add(key, value);
  }
  return out + "\n";
}

/// "3: u8[2x2]  00ff00ff"
std::string tensor_text(const json& tensor) {
  std::string shape;
  for (const json& dim : tensor.value("shape", json::array())) shape += (shape.empty() ? "" : "x") + dim.dump();
  const json& data = tensor["data"];
  std::string shown = value_text(data);
  if (data.is_binary() && tensor.value("schema_name", json()) == "text") {
    const auto& bytes = data.get_binary();
    const json text = std::string(bytes.begin(), bytes.end());
    // Only texts that JSON can have are shown as such.
    shown = printable(text.dump(-1, ' ', true, json::error_handler_t::replace));
  }
  return value_text(tensor.value("index", json())) + ": " + value_text(tensor.value("dtype", json())) + "[" + shape +
         "]  " + shown + "\n";
}

}  // namespace

bool sends_events(const Request& request) { return request.op.starts_with("watch ") || request.op == "llmstream"; }

json with_hex(const json& value) {
  if (value.is_binary()) return hex(value.get_binary(), value.get_binary().size());
  if (!value.is_structured()) return value;
  json out = value;
  for (json& inner : out) inner = with_hex(inner);
  return out;
}

std::string event_text(const json& event) {
  std::string out;
  const bool is_line = event.contains("line") && event["line"].is_string();
  // Of a model's answer: one piece goes on from the other.
  if (event.contains("text") && event["text"].is_string()) return printable(event["text"].get<std::string>());
  // What is lost of a log is counted in bytes.
  if (event.contains("lost")) out = "(" + value_text(event["lost"]) + (is_line ? " bytes lost)\n" : " lost)\n");
  json rest = event;
  rest.erase("lost");
  if (is_line) return out + printable(rest["line"].get<std::string>()) + "\n";
  if (rest.value("kind", json()) == "tensor" && rest.contains("data")) return out + tensor_text(rest);
  const auto events = rest.find("events");
  if (events == rest.end() || !events->is_array()) return out + beside(rest);
  for (const json& each : *events) out += each.is_object() ? beside(each) : value_text(each) + "\n";
  return out;
}

ExitCode follow(const Context& context, Session& session, const Request& request) {
  const Interruptible interruptible;
  // That ends by itself, so an end before is none of it.
  const bool is_answer = request.op == "llmstream";
  const auto id = session.subscribe(request.op, request.args);
  if (!id) return report(context, id.error());
  for (;;) {
    const auto next = session.next(*id, kLookEvery);
    if (!next) return report(context, next.error());
    if (Interruptible::interrupted()) {
      const auto cancelled = session.cancel(*id);
      if (!cancelled) return report(context, cancelled.error());
      return is_answer ? kInterrupted : ExitCode::Ok;
    }
    if (!*next) continue;
    const auto& [is_event, body, dropped] = **next;
    if (!is_event && is_answer) return print_answer(context, body);
    if (context.options.json) {
      context.out << json_line(with_hex(body)) << std::flush;
    } else if (is_event) {
      context.out << event_text(body) << std::flush;
    } else if (body.value("end", json()) == "gone") {
      context.err << "sisctl: what was watched is gone\n";
    }
    if (dropped != 0) context.err << "sisctl: " << dropped << " events came faster than they could be printed\n";
    if (!is_event || !context.out) return ExitCode::Ok;  // main says so where nothing can be written
  }
}

}  // namespace sisctl
