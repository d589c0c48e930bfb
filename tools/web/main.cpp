// sis-web: the live page of a machine.
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>

#include "tools/web/address.hpp"
#include "tools/web/follower.hpp"
#include "tools/web/server.hpp"
#include "vmm/machine/registry.hpp"

namespace sis_web {
namespace {

using sisctl::ExitCode;

struct WebOptions {
  sisctl::Options machine;
  std::string name;  ///< shown, of a machine that --socket means
  std::string listen = "127.0.0.1:0";
  bool expose = false;
  std::optional<int> inherited;  ///< a socket that listens already
};

int usage(const std::string& message) {
  std::fprintf(stderr, "sis-web: %s\n", message.c_str());
  return static_cast<int>(ExitCode::Usage);
}

void add_options(CLI::App& app, WebOptions& options) {
  app.set_version_flag("--version", "sis-web " SIS_VERSION);
  app.add_option("NAME", options.machine.machine, "The machine (default: the only one that runs)");
  app.add_option("--socket", options.machine.socket_path, "Its vsock socket, instead of its name");
  app.add_option("--key", options.machine.key_path, "Its key (default: control.key beside the socket)");
  app.add_option("--name", options.name, "What it is called, with --socket");
  auto* const listen =
      app.add_option("--listen", options.listen, "Address to serve on (default: 127.0.0.1 and a free port)");
  app.add_flag("--expose", options.expose,
               "Allow an address that other hosts can reach: they see the machine's metrics, scenario and console log");
  app.add_option("--fd", options.inherited, "Serve on this descriptor, which listens already; for sisvmm run --web")
      ->check(CLI::Range(3, 1024))
      ->excludes(listen);
}

/// The socket to serve on. Error: a usage error.
vmm::Result<vmm::UniqueFd> listener_of(const WebOptions& options, const std::string& machine) {
  if (options.inherited) {
    vmm::UniqueFd fd(*options.inherited);
    const int flags = ::fcntl(fd.get(), F_GETFL);
    // Whoever made it may have wanted it for a loop; the library waits in accept().
    if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) < 0) {
      return vmm::fail_errno("--fd", errno, abi::ExitCode::Usage);
    }
    return fd;
  }
  auto address = parse_address(options.listen);
  if (!address) return vmm::fail("--listen: " + address.error().message, abi::ExitCode::Usage);
  if (!address->is_loopback() && !options.expose) {
    return vmm::fail(
        "--listen " + options.listen +
            ": other hosts could read the machine's metrics, its scenario and its console log; --expose allows it",
        abi::ExitCode::Usage);
  }
  auto listener = listen_on(*address);
  if (listener) {
    std::printf("%s: %s\n", machine.c_str(), address->url().c_str());
    std::fflush(stdout);
  }
  return listener;
}

int serve(WebOptions options) {
  auto target = sisctl::find_target(options.machine);
  if (!target) {
    std::fprintf(stderr, "sis-web: %s\n", target.error().message.c_str());
    return static_cast<int>(target.error().exit_code);
  }
  // Found once: another machine that takes the name later is not meant.
  options.machine.machine.clear();
  options.machine.socket_path = target->socket_path;
  options.machine.key_path = target->key_path;
  const std::filesystem::path folder = std::filesystem::path(target->socket_path).parent_path();
  MachineView view(options.name.empty() ? target->name : options.name, folder.string());
  auto listener = listener_of(options, target->name);
  if (!listener) return usage(listener.error().message);
  const Server server(std::move(*listener), view, folder / vmm::machine::file::kConsoleLog);
  const auto followed = Follower(options.machine, *target, options.inherited.has_value(), view).run();
  if (!followed) {
    std::fprintf(stderr, "sis-web: %s\n", followed.error().message.c_str());
    return static_cast<int>(followed.error().exit_code);
  }
  std::fprintf(stderr, "sis-web: '%s' has ended\n", target->name.c_str());
  return 0;
}

int main_with(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  WebOptions options;
  CLI::App app("The live page of a machine, on this host. Exit codes: docs/exit-codes.md", "sis-web");
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::Usage);
  }
  return serve(std::move(options));
}

}  // namespace
}  // namespace sis_web

int main(int argc, char** argv) {
  try {
    return sis_web::main_with(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sis-web: internal error: %s\n", error.what());
    return static_cast<int>(sisctl::ExitCode::Protocol);
  }
}
