#include "live_page.hpp"

#include <unistd.h>

#include <charconv>

#include "commands.hpp"
#include "vmm/base/tcp_socket.hpp"
#include "vmm/machine/registry.hpp"

namespace vmm::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kProgram[] = "sis-web";
constexpr std::string_view kLoopback = "127.0.0.1:";

Result<std::uint16_t> port_in(const std::string& address) {
  std::uint16_t port = 0;
  const char* const end = address.data() + address.size();
  if (address.starts_with(kLoopback)) {
    const auto [stop, error] = std::from_chars(address.data() + kLoopback.size(), end, port);
    if (error == std::errc() && stop == end) return port;
  }
  return fail("--web: found '" + address +
                  "', expected 127.0.0.1:PORT; `sis-web NAME --listen ADDRESS --expose` serves other hosts",
              abi::ExitCode::Usage);
}

/// bin/sis-web beside bin/sisvmm; build/<preset>/vmm/cli/sisvmm -> build/<preset>/tools/web/.
Result<fs::path> program() {
  const fs::path folder = executable_path().parent_path();
  const fs::path candidates[] = {folder / kProgram, (folder / "../../tools/web" / kProgram).lexically_normal()};
  for (const fs::path& candidate : candidates) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail("--web: there is no " + candidates[0].string() + " and no " + candidates[1].string() +
                  "; `./sis build host` makes it, but not for other processors than the host's",
              abi::ExitCode::HostLacks);
}

}  // namespace

Result<std::unique_ptr<LivePage>> LivePage::start(const std::string& address, const fs::path& run_dir,
                                                  const std::string& name) {
  const auto port = port_in(address);
  if (!port) return std::unexpected(port.error());
  const auto path = program();
  if (!path) return std::unexpected(path.error());
  const auto listener = listen_on_loopback(*port);
  if (!listener) {
    return fail_errno("--web: cannot listen on " + address, listener.error(), abi::ExitCode::Usage);
  }
  const auto chosen = port_of(*listener);
  if (!chosen) return fail_errno("--web: the port of " + address, chosen.error());
  auto child = Subprocess::spawn({.arguments = {path->string(), "--name", name, "--socket",
                                                fs::absolute(run_dir / machine::file::kVsockSocket).string(), "--fd",
                                                std::to_string(Subprocess::kFirstInherited)},
                                  .inherited = {listener->get()}});
  if (!child) return std::unexpected(std::move(child.error()).because_of("cannot serve the live page"));
  const std::string url = "http://" + std::string(kLoopback) + std::to_string(*chosen) + "/";
  return std::unique_ptr<LivePage>(new LivePage(std::move(*child), url));
}

LivePage::~LivePage() {
  if (loop_ != nullptr) loop_->remove(child_.exit_fd());
}

void LivePage::watch(EventLoop& loop, std::function<void(const std::string&)> on_gone) {
  loop_ = &loop;
  loop.add(child_.exit_fd(), Interest::Read, [this, on_gone = std::move(on_gone)](Events) {
    loop_->remove(child_.exit_fd());
    loop_ = nullptr;
    on_gone("the live page is gone: sis-web " + child_.wait().describe());
  });
}

}  // namespace vmm::cli
