// Answers of the guest's LLM service.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/guest_words.hpp"
#include "tools/session.hpp"

namespace sisctl {

/// Whether the request is answered with a model's answer when that is there.
bool asks_model(const Request& request);

/// `result` of such a request with all of the text: what is longer than a reply has room for is polled for.
Outcome<nlohmann::json> whole_answer(Session& session, nlohmann::json result);

/// What is left of an answer's text, and for who watches how it went; or all of `result` as JSON. An answer that ended
/// before its end is said on the standard error, and one that failed is a refusal.
ExitCode print_answer(const Context& context, const nlohmann::json& result);

/// "12 tokens, 34.5 tokens/s, length", of what `result` says.
std::string answer_summary(const nlohmann::json& result);

}  // namespace sisctl
