#include "vmm/qemu/qmp.hpp"

#include <utility>

namespace vmm::qemu {
namespace {

using nlohmann::json;

/// The member, or null when there is none or `value` is no object.
const json& member(const json& value, const char* key) {
  static const json null;
  const auto found = value.is_object() ? value.find(key) : value.end();
  return value.is_object() && found != value.end() ? *found : null;
}

std::string text_or(const json& value, const char* otherwise) {
  return value.is_string() ? value.get<std::string>() : std::string(otherwise);
}

std::string shortened(std::string_view line) {
  constexpr std::size_t kShown = 80;
  return line.size() <= kShown ? std::string(line) : std::string(line.substr(0, kShown)) + "...";
}

}  // namespace

Result<> QmpSession::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto piece = bytes.substr(0, end);
    if (piece.size() > kMaxLineBytes - line_.size()) {
      return fail("QEMU sent a QMP line of more than " + std::to_string(kMaxLineBytes) + " bytes");
    }
    line_ += piece;
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(line_, {});
    if (auto taken = take_line(line); !taken) return taken;
  }
  return {};
}

Result<> QmpSession::take_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return {};
  // The parser of this library does not recurse, so depth costs memory only, and that is bounded by the line.
  const json value = json::parse(line, nullptr, false);
  if (!value.is_object()) return fail("QEMU sent a QMP line that is no JSON object: " + shortened(line));
  if (!greeted_) return take_greeting(value);
  if (const json& event = member(value, "event"); event.is_string()) {
    on_event_(event.get<std::string>(), member(value, "data"));
    return {};
  }
  if (value.contains("return") || value.contains("error")) return take_reply(value);
  return fail("QEMU sent a QMP line that is neither event nor reply: " + shortened(line));
}

Result<> QmpSession::take_greeting(const json& value) {
  const json& greeting = member(value, "QMP");
  if (!greeting.is_object()) return fail("QEMU did not greet as QMP asks for");
  const json& version = member(member(greeting, "version"), "qemu");
  for (const char* part : {"major", "minor", "micro"}) {
    const json& number = member(version, part);
    if (!number.is_number_unsigned()) continue;
    version_ += (version_.empty() ? "" : ".") + std::to_string(number.get<std::uint64_t>());
  }
  greeted_ = true;
  send("qmp_capabilities", [this](const Result<json>& reply) {
    if (!reply) return;
    negotiated_ = true;
    for (auto& [command, on_reply] : std::exchange(waiting_, {})) send(command, std::move(on_reply));
  });
  return {};
}

Result<> QmpSession::take_reply(const json& value) {
  const json& id = member(value, "id");
  if (pending_.empty() || !id.is_number_unsigned() || id.get<std::uint64_t>() != pending_.front().id) {
    return fail("QEMU sent a QMP reply to a command that was not given");
  }
  const auto on_reply = std::move(pending_.front().on_reply);
  pending_.pop_front();
  if (!on_reply) return {};
  if (value.contains("return")) {
    on_reply(member(value, "return"));
  } else {
    on_reply(fail("QEMU refused: " + text_or(member(member(value, "error"), "desc"), "no reason given")));
  }
  return {};
}

void QmpSession::execute(const std::string& command, ReplyCallback on_reply) {
  if (negotiated_) {
    send(command, std::move(on_reply));
  } else {
    waiting_.emplace_back(command, std::move(on_reply));
  }
}

void QmpSession::send(const std::string& command, ReplyCallback on_reply) {
  const std::uint64_t id = next_id_++;
  output_ += json{{"execute", command}, {"id", id}}.dump() + "\n";
  pending_.push_back({id, std::move(on_reply)});
}

}  // namespace vmm::qemu
