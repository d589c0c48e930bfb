#include "tools/llm_answer.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <thread>

#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

/// A request that says nothing new is asked again after so long.
constexpr std::chrono::milliseconds kPollEvery{50};
/// Pieces of one reply, as many as the guest gives.
constexpr int kMaxPieces = 256;

/// The guest's, which may be anything.
std::string text_of(const json& map, const char* key) {
  const auto found = map.find(key);
  return found != map.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_true(const json& map, const char* key) { return map.value(key, json()) == true; }

}  // namespace

bool asks_model(const Request& request) {
  return request.op == "llminfer" && request.args.value("wait", json()) != false;
}

Outcome<json> whole_answer(Session& session, json result) {
  std::string text = text_of(result, "text");
  const json id = result.value("id", json());
  while (result.contains("next") && !(is_true(result, "finished") && is_true(result, "drained"))) {
    auto more = session.call("llmpoll", {{"id", id}, {"max", kMaxPieces}});
    if (!more) return std::unexpected(more.error());
    const std::string piece = text_of(*more, "text");
    if (piece.empty() && !is_true(*more, "finished")) std::this_thread::sleep_for(kPollEvery);
    text += piece;
    result = std::move(*more);
    result.erase("ids");  // of the last piece only
  }
  result.erase("next");
  result["text"] = std::move(text);
  return result;
}

std::string answer_summary(const json& result) {
  const auto number = [&result](const char* key) {
    const auto found = result.find(key);
    return found != result.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  };
  std::string summary = std::to_string(number("tokens")) + " tokens";
  if (const std::uint64_t rate = number("milli_tokens_per_second"); rate != 0) {
    char text[48];
    std::snprintf(text, sizeof(text), ", %.1f tokens/s", static_cast<double>(rate) / 1e3);
    summary += text;
  }
  return summary + ", " + printable(text_of(result, "stop"));
}

ExitCode print_answer(const Context& context, const json& result) {
  const std::string text = printable(text_of(result, "text"));
  if (context.options.json) {
    context.out << json_line(result);
  } else {
    context.out << text << (text.ends_with('\n') ? "" : "\n") << std::flush;
  }
  const std::string stop = text_of(result, "stop");
  if (stop == "failed") {
    context.err << "sisctl: the model failed: " << printable(text_of(result, "error")) << ": "
                << printable(text_of(result, "message")) << "\n";
    return ExitCode::Refused;
  }
  const auto whole = {"end", "length", "stop-word"};
  if (std::ranges::none_of(whole, [&stop](const char* each) { return stop == each; })) {
    context.err << "sisctl: the answer is not whole: " << printable(stop) << "\n";
  } else if (context.terminal && !context.options.json) {
    context.err << "(" << answer_summary(result) << ")\n";
  }
  return ExitCode::Ok;
}

}  // namespace sisctl
