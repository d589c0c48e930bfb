#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "commands.hpp"
#include "vmm/base/socket_stream.hpp"
#include "vmm/base/unix_socket.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/terminal/signals.hpp"
#include "vmm/terminal/terminal.hpp"

namespace vmm::cli {
namespace {

/// Copies between the terminal and the socket until one of them ends.
class ConsoleSession {
 public:
  ConsoleSession(EventLoop& loop, std::string name) : loop_(loop), name_(std::move(name)) {}

  Result<int> run(UniqueFd socket) {
    auto stream = SocketStream::create(loop_, std::move(socket), kMaxTyped,
                                       {.on_bytes =
                                            [this](std::string_view bytes) {
                                              if (!write_output(bytes)) end("the output was closed", 0);
                                            },
                                        .on_closed = [this] { end("machine " + name_ + " has closed its console", 0); },
                                        .on_drained = [this] { send_rest(); }});
    if (!stream) return std::unexpected(stream.error());
    stream_ = std::move(*stream);
    terminal_ = std::make_unique<AttachedTerminal>(
        loop_,
        AttachedTerminal::Callbacks{.on_typed = [this](std::string_view bytes) { return send(bytes); },
                                    .on_leave = [this] { end("left machine " + name_ + ", which goes on", 0); }});
    if (terminal_->is_terminal()) {
      std::fprintf(stderr, "attached to machine %s; Ctrl-] or Ctrl-A x leaves\n", name_.c_str());
    }
    std::vector<int> wanted = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (terminal_->is_terminal()) wanted.insert(wanted.end(), {SIGTSTP, SIGCONT});
    auto signals = SignalWatch::create(loop_, wanted, [this](int number) { on_signal(number); });
    if (!signals) return std::unexpected(signals.error());
    if (auto ran = loop_.run(); !ran) return std::unexpected(ran.error());
    terminal_.reset();
    std::fprintf(stderr, "\n%s\n", why_.c_str());
    return exit_code_;
  }

 private:
  bool send(std::string_view bytes) {
    rest_ += bytes;
    send_rest();
    return rest_.empty();
  }

  void send_rest() {
    rest_.erase(0, stream_->send(rest_));
    if (rest_.empty() && terminal_) terminal_->resume();
  }

  void on_signal(int number) {
    if (number == SIGTSTP) {
      terminal_->release();
      ::raise(SIGSTOP);
      terminal_->take();
    } else if (number == SIGCONT) {
      terminal_->take();
    } else {
      end(std::string("ended by ") + signal_name(number), static_cast<int>(abi::ExitCode::Interrupted));
    }
  }

  void end(std::string why, int exit_code) {
    if (!why_.empty()) return;
    why_ = std::move(why);
    exit_code_ = exit_code;
    loop_.stop();
  }

  EventLoop& loop_;
  std::string name_;
  std::unique_ptr<SocketStream> stream_;
  std::unique_ptr<AttachedTerminal> terminal_;
  std::string rest_;
  std::string why_;
  int exit_code_ = 0;
};

}  // namespace

int console(const ConsoleOptions& options) {
  const auto entry = machine::find_machine(options.name);
  if (!entry) return report(entry.error());
  if (!entry->alive) {
    return report({.message = "machine " + entry->name +
                              " does not run: its monitor was killed; its console so far is in " +
                              entry->path_of(machine::file::kConsoleLog).string(),
                   .exit_code = abi::ExitCode::Usage});
  }
  const auto path = entry->path_of(machine::file::kConsoleSocket);
  auto socket = connect_unix(path);
  if (!socket) return report(fail_errno("cannot reach the console at " + path.string(), socket.error()).error());
  auto loop = EventLoop::create();
  if (!loop) return report(loop.error());
  ConsoleSession session(**loop, entry->name);
  const auto code = session.run(std::move(*socket));
  return code ? *code : report(code.error());
}

}  // namespace vmm::cli
