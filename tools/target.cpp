#include "tools/target.hpp"

#include <cstdlib>
#include <filesystem>

#include "tools/credentials.hpp"
#include "tools/text.hpp"
#include "vmm/machine/registry.hpp"

namespace sisctl {
namespace {

namespace fs = std::filesystem;
namespace machine = vmm::machine;
using vmm::control::Client;
using vmm::control::ClientError;
using Kind = ClientError::Kind;

std::unexpected<Failure> fail(ExitCode exit_code, std::string kind, std::string message) {
  return std::unexpected(Failure{.exit_code = exit_code, .kind = std::move(kind), .message = std::move(message)});
}

Target target_of(const machine::MachineEntry& entry) {
  return {.name = entry.name,
          .socket_path = entry.path_of(machine::file::kVsockSocket),
          .key_path = entry.path_of(machine::file::kControlKey),
          .monitor_path = entry.path_of(machine::file::kMonitorSocket),
          .run_key_path = entry.path_of(machine::file::kControlKey)};
}

Outcome<Target> named_target(const std::string& name) {
  const auto entry = machine::find_machine(name);
  if (!entry) {
    return machine::is_machine_name(name) ? fail(ExitCode::CannotConnect, "no-such-machine", entry.error().message)
                                          : fail(ExitCode::Usage, "usage", entry.error().message);
  }
  if (!entry->alive) {
    return fail(ExitCode::CannotConnect, "no-such-machine",
                "machine '" + name + "' does not run any more; its files are in " + entry->run_dir.string());
  }
  return target_of(*entry);
}

Outcome<Target> only_target() {
  const auto machines = machine::list_machines();
  if (!machines) return fail(ExitCode::CannotConnect, "no-such-machine", machines.error().message);
  const machine::MachineEntry* found = nullptr;
  std::string names;
  for (const auto& entry : *machines) {
    if (!entry.alive) continue;
    names += (names.empty() ? "" : ", ") + entry.name;
    if (found != nullptr)
      found = nullptr;
    else if (names == entry.name)
      found = &entry;
  }
  if (names.empty()) {
    return fail(ExitCode::CannotConnect, "no-such-machine",
                "no machine runs; start one with `sisvmm run FILE`, or give --socket PATH");
  }
  if (found == nullptr) {
    return fail(ExitCode::Usage, "usage", "several machines run, say which with --machine NAME: " + names);
  }
  return target_of(*found);
}

struct KindInfo {
  ExitCode exit_code;
  const char* word;
};

KindInfo info_of(Kind kind) {
  switch (kind) {
    case Kind::Refused:
      return {ExitCode::Refused, "refused"};
    case Kind::NoSuchMachine:
      return {ExitCode::CannotConnect, "no-such-machine"};
    case Kind::ConnectRefused:
      return {ExitCode::CannotConnect, "connection-refused"};
    case Kind::NoSuchPort:
      return {ExitCode::CannotConnect, "no-such-port"};
    case Kind::NoPermission:
      return {ExitCode::CannotConnect, "no-permission"};
    case Kind::Timeout:
      return {ExitCode::NoReply, "timeout"};
    case Kind::ConnectionLost:
      return {ExitCode::NoReply, "connection-lost"};
    case Kind::Protocol:
      return {ExitCode::Protocol, "protocol"};
    case Kind::BadRequest:
      return {ExitCode::Usage, "bad-request"};
  }
  return {ExitCode::Protocol, "protocol"};
}

std::string sentence_of(const ClientError& error, const Target& target, std::chrono::milliseconds timeout) {
  switch (error.kind) {
    case Kind::Refused:
      return "the guest refused: " + printable(error.message) + " [" + printable(error.code) +
             (error.field.empty() ? "" : ", argument '" + printable(error.field) + "'") + "]";
    case Kind::Timeout:
      return "no reply from '" + target.name + "' within " +
             duration(std::chrono::duration_cast<std::chrono::nanoseconds>(timeout).count()) +
             "; the guest may be booting, busy or hung (--timeout waits longer)";
    case Kind::ConnectionLost:
      return "no reply from '" + target.name + "': " + printable(error.message);
    case Kind::Protocol:
      return "protocol error: " + printable(error.message);
    default:
      return printable(error.message);
  }
}

/// Of the command line, or of the environment where that names neither a token nor a key.
std::string given_token(const Options& options) {
  if (!options.token.empty() || !options.key_path.empty()) return options.token;
  const char* const from_environment = std::getenv("SIS_TOKEN");
  return from_environment == nullptr ? std::string() : from_environment;
}

}  // namespace

Failure failure_of(const ClientError& error, const Target& target, std::chrono::milliseconds timeout) {
  const auto [exit_code, word] = info_of(error.kind);
  return {.exit_code = exit_code,
          .kind = word,
          .message = sentence_of(error, target, timeout),
          .code = error.code,
          .field = error.field};
}

Outcome<Target> find_target(const Options& options) {
  if (options.socket_path.empty()) {
    auto target = options.machine.empty() ? only_target() : named_target(options.machine);
    if (!target) return target;
    if (!options.key_path.empty()) target->key_path = options.key_path;
    target->token = given_token(options);
    return target;
  }
  const fs::path folder = fs::path(options.socket_path).parent_path();
  Target target{.name = options.socket_path,
                .socket_path = options.socket_path,
                .key_path = options.key_path,
                .monitor_path = folder / machine::file::kMonitorSocket,
                .run_key_path = folder / machine::file::kControlKey,
                .token = given_token(options)};
  if (target.key_path.empty()) target.key_path = target.run_key_path;
  return target;
}

Outcome<Client> connect(const Target& target, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  // The stream first: of a machine that is gone, say that it is gone and not that its key cannot be read.
  auto stream = vmm::control::connect_vsock(target.socket_path, abi::control::kPort, deadline);
  if (!stream) return std::unexpected(failure_of(stream.error(), target, timeout));
  const auto token = token_for(target);
  if (!token) return std::unexpected(token.error());
  auto client = Client::over(std::move(*stream), *token, deadline);
  if (!client) return std::unexpected(failure_of(client.error(), target, timeout));
  return std::move(*client);
}

}  // namespace sisctl
