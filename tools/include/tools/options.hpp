// The command line of sisctl.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

namespace sisctl {

/// Exit codes, as the help text states them.
enum class ExitCode : int {
  Ok = 0,
  Refused = 1,        ///< the guest refused, or a file is not what it should be
  Usage = 2,          ///< wrong arguments
  CannotConnect = 3,  ///< no such machine, refused, no permission
  NoReply = 4,        ///< none in time, or the connection was lost first
  Protocol = 5,
};

struct Ping {
  std::uint32_t count = 1;
  std::string payload;
};
struct Info {};
struct Shell {
  std::string line;
};
struct Shutdown {
  unsigned code = 0;
};
struct Call {
  std::string op;
  nlohmann::json args = nlohmann::json::object();
};
/// The guest's threads and what they take: once, or on a terminal without a time until it is interrupted.
struct Top {
  std::uint32_t ms = 0;  ///< 0: not given
};
struct List {};
/// Any command of the guest's, in words.
struct GuestCommand {
  std::vector<std::string> words;  ///< at least one
  /// Of this argument "-" means what comes from the standard input; empty: of none.
  std::string stdin_argument = {};
};
/// A package of a model, for the guest to load.
struct LoadPackage {
  std::string file;
  std::string manifest = {};  ///< empty: NAME.sig beside NAME.gguf, if there is one
  std::string id = {};        ///< empty: what the manifest says, or without one NAME
};
struct GraphExport {
  std::string graph;
  bool dot = false;
};
struct GraphImport {
  std::string file;
};
/// Whether an audit log that was written down is what the machine recorded.
struct AuditVerify {
  std::string file;
};
/// Requests in a file, a line each.
struct Batch {
  std::string file;  ///< "-": the standard input
  bool keep_going = false;
  std::size_t pipeline = 1;  ///< requests whose replies are waited for at a time
};
/// The guest's figures by flat names.
struct Metrics {
  std::string prefix;  ///< of the names; empty: all
  std::string graph;   ///< empty: of all graphs, and all others
  bool console = false;
  bool watch = false;  ///< again and again, what has changed
  std::chrono::milliseconds interval{1000};
  std::uint32_t count = 0;  ///< so many times; 0: for ever
};
/// Saves the machine; asks its monitor, not the guest.
struct Snapshot {
  std::string folder;
};

struct Options {
  std::string machine;      ///< empty: the only one that runs
  std::string socket_path;  ///< given instead of a machine
  std::string key_path;     ///< empty: control.key beside the socket
  std::string token;        ///< instead of a key, in hexadecimal or @FILE; empty: none
  bool json = false;
  std::chrono::milliseconds timeout{10'000};  ///< for the connection, and for each reply
  std::variant<Ping, Info, Shell, Shutdown, Call, Top, List, Snapshot, GuestCommand, GraphExport, GraphImport,
               LoadPackage, AuditVerify, Batch, Metrics>
      command;
};

/// What parsing led to: options to act on, or a text to print and an exit code.
struct Parsed {
  bool run = false;
  Options options;
  std::string text;  ///< help or version (Ok, for stdout) or what is wrong (Usage, for stderr)
  ExitCode exit_code = ExitCode::Ok;
};
Parsed parse_options(int argc, const char* const* argv);

/// A time span as users write it: "10", "0.5" (seconds), "250ms", "3s", "2m". More than 0, at most a day; nothing else.
bool parse_time(const std::string& text, std::chrono::milliseconds& out);

}  // namespace sisctl
