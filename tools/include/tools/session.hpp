// What every command needs: where its output goes, and a connection to the guest.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "tools/options.hpp"
#include "tools/target.hpp"
#include "vmm/control/client.hpp"

namespace sisctl {

/// What a command needs to run.
struct Context {
  const Options& options;
  std::ostream& out;
  std::ostream& err;
  bool terminal;  ///< somebody watches `out`
};

/// JSON on one line, with everything that is not ASCII escaped: safe for a terminal, and the same for programs.
std::string json_line(const nlohmann::json& value);

/// What went wrong, as programs read it.
nlohmann::json error_object(const Failure& failure);

/// Says what went wrong, as the options want it; returns the exit code for it.
ExitCode report(const Context& context, const Failure& failure);

/// A connection to the machine, and requests over it.
class Session {
 public:
  static Outcome<Session> open(const Options& options);

  /// One request and its reply.
  Outcome<nlohmann::json> call(const std::string& op, const nlohmann::json& args);

  /// The same in two parts, so that several requests can be on their way: sends one; its number is for receive().
  Outcome<std::uint32_t> send(const std::string& op, const nlohmann::json& args);
  Outcome<nlohmann::json> receive(std::uint32_t id);

  /// What a line of the guest's shell printed; a new key in it is kept, as a reply's is.
  [[nodiscard]] Outcome<void> keep_printed_key(const std::string& output) const;

  /// From another thread: a call that waits fails at once, and so does every later one.
  void interrupt() const { client_.interrupt(); }

  /// A request that sends events (Client::subscribe()).
  Outcome<std::uint32_t> subscribe(const std::string& op, const nlohmann::json& args);
  /// What it brings next; nothing: nothing has come within `timeout`.
  Outcome<std::optional<vmm::control::Client::Next>> next(std::uint32_t id, std::chrono::milliseconds timeout);
  /// Ends it.
  Outcome<void> cancel(std::uint32_t id);

  /// A reply that is well formed and yet not one to this op.
  [[nodiscard]] Failure wrong_reply(const std::string& what) const;

  [[nodiscard]] const std::string& name() const { return target_.name; }

 private:
  Session(Target target, vmm::control::Client client, std::chrono::milliseconds timeout)
      : target_(std::move(target)), client_(std::move(client)), timeout_(timeout) {}

  Target target_;
  vmm::control::Client client_;
  std::chrono::milliseconds timeout_;
  std::set<std::uint32_t> may_bring_key_;  ///< requests whose reply may have a new key, which is then written down
};

}  // namespace sisctl
