// Which machine a command is for, and how to reach it.
#pragma once

#include <expected>
#include <string>

#include "tools/options.hpp"
#include "vmm/control/client.hpp"

namespace sisctl {

/// Why a command came to nothing.
struct Failure {
  ExitCode exit_code;
  std::string kind;  ///< a word for programs: "refused", "no-such-machine", ...
  std::string message;
  std::string code = {};   ///< Refused: the guest's error code
  std::string field = {};  ///< Refused: the offending argument, if one
};
template <typename T>
using Outcome = std::expected<T, Failure>;

struct Target {
  std::string name;  ///< for messages: the machine's name, or the socket's path
  std::string socket_path;
  std::string key_path;
  std::string monitor_path;
  std::string run_key_path = {};  ///< the key's file in the run directory, which key_path may differ from
  std::string token = {};         ///< given instead of a key, as read_token() takes it; empty: none
};

/// The machine that the options name, or the only one that runs.
Outcome<Target> find_target(const Options& options);

/// A connection to the guest's control server, with the token that was given, or one of all rights made from the
/// machine's key.
Outcome<vmm::control::Client> connect(const Target& target, std::chrono::milliseconds timeout);

/// An error of the client, told about `target`.
Failure failure_of(const vmm::control::ClientError& error, const Target& target, std::chrono::milliseconds timeout);

}  // namespace sisctl
