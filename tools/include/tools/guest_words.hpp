// Words of a command line as a request to the guest, by what the guest says of its command.
#pragma once

#include <functional>
#include <istream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/target.hpp"

namespace sisctl {

struct Request {
  std::string op;
  nlohmann::json args = nlohmann::json::object();
};

/// Asks the guest what `help NAME` says.
using AskHelp = std::function<Outcome<nlohmann::json>(const std::string& name)>;

/// `words`, at least one: the name of a command, of one word or two, then its arguments by position, or as --name VALUE
/// or --name=VALUE; --name alone is the yes of a bool, and @FILE the bytes of a file where the guest takes bytes. What
/// is wrong with them is a usage error; that there is no such command is the guest's refusal.
Outcome<Request> request_of(const std::vector<std::string>& words, const AskHelp& ask_help);

/// All of `input`, as bytes: at most as much as a request may be long. Errors name the argument and
/// what was to be read.
Outcome<nlohmann::json> read_bytes(std::istream& input, const std::string& name, const std::string& what);

}  // namespace sisctl
