// Requests that send events: printed as they come.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/guest_words.hpp"
#include "tools/session.hpp"

namespace sisctl {

/// The request's answer comes after its events.
bool sends_events(const Request& request);

/// Prints each event, until the request ends or Ctrl-C ends it, which is no failure.
ExitCode follow(const Context& context, Session& session, const Request& request);

/// An event as lines for people. It may be anything: it is the guest's.
std::string event_text(const nlohmann::json& event);

/// As JSON has it: bytes are texts of hexadecimal digits.
nlohmann::json with_hex(const nlohmann::json& value);

}  // namespace sisctl
