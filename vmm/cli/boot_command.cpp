#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include "commands.hpp"
#include "native_kvm.hpp"
#include "signals.hpp"
#include "terminal.hpp"

namespace vmm::cli {
namespace {

using abi::ExitCode;

/// One machine whose console is the standard input and output, from its start to its end.
class BootSession final : public machine::BackendEvents {
 public:
  BootSession(EventLoop& loop, std::unique_ptr<machine::Backend> backend, sandbox::Sandbox sandbox)
      : loop_(loop), backend_(std::move(backend)), sandbox_(sandbox) {}

  Result<> run(const std::optional<double>& timeout_s) {
    auto signals = SignalWatch::create(loop_, {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT},
                                       [this](int number) { on_signal(number); });
    if (!signals) return std::unexpected(signals.error());
    if (auto started = backend_->start(loop_, *this); !started) return started;
    terminal_ = std::make_unique<AttachedTerminal>(
        loop_, AttachedTerminal::Callbacks{.on_typed = [this](std::string_view bytes) { return type(bytes); },
                                           .on_leave = [this] { end(std::nullopt); }});
    if (timeout_s) {
      loop_.add_timer(std::chrono::duration_cast<EventLoop::Clock::duration>(std::chrono::duration<double>(*timeout_s)),
                      [this] { end(Error{"the time limit (--timeout) has passed", ExitCode::TimedOut}); });
    }
    sandbox_.enter(sandbox::ThreadKind::Main);
    if (auto ran = loop_.run(); !ran) return ran;
    terminal_.reset();
    if (why_) return std::unexpected(*why_);
    return how_;
  }

  void on_console(std::string_view bytes) override {
    if (!write_output(bytes)) end(Error{"cannot write to the standard output"});
  }
  void on_console_writable() override { type({}); }
  void on_guest_reset() override {}
  void on_guest_shutdown() override {}
  void on_guest_panicked() override { why_ = Error{"the guest has crashed", ExitCode::GuestPanic}; }
  void on_warning(const std::string& message) override { report_warning(message); }
  void on_exited(Result<> how) override {
    how_ = std::move(how);
    loop_.stop();
  }

 private:
  /// Passes on what fits; the rest waits here. True if there is none.
  bool type(std::string_view bytes) {
    typed_ += bytes;
    typed_.erase(0, backend_->write_console(typed_));
    if (typed_.size() < kMaxTyped && terminal_) terminal_->resume();
    return typed_.size() < kMaxTyped;
  }

  void end(std::optional<Error> why) {
    if (ending_) return;
    ending_ = true;
    why_ = std::move(why);
    backend_->kill();
  }

  void on_signal(int number) {
    if (number == SIGTSTP) {
      if (terminal_) terminal_->release();
      ::raise(SIGSTOP);
    } else if (number != SIGCONT) {
      return end(Error{std::string("ended by ") + signal_name(number), ExitCode::Interrupted});
    }
    if (terminal_) terminal_->take();
  }

  void report_warning(const std::string& message) const {
    const bool raw = terminal_ && terminal_->is_terminal();
    std::fprintf(stderr, "%ssisvmm: warning: %s\n", raw ? "\r\n" : "", message.c_str());
  }

  EventLoop& loop_;
  std::unique_ptr<machine::Backend> backend_;
  sandbox::Sandbox sandbox_;
  std::unique_ptr<AttachedTerminal> terminal_;
  std::string typed_;
  bool ending_ = false;
  std::optional<Error> why_;
  Result<> how_;
};

Result<> boot_machine(const BootOptions& options) {
  scenario::Scenario scenario;
  if (auto applied = apply(options.overrides, scenario); !applied) return applied;
  auto sandbox = make_sandbox(options.sandbox);
  if (!sandbox) return std::unexpected(sandbox.error());
  auto loop = EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  machine::MachineConfig config{.name = "boot",
                                .machine = scenario.machine,
                                .kernel = options.kernel,
                                .boot_archive = options.initrd,
                                .vsock_socket = options.vsock,
                                .log_file = {},
                                .sandbox = *sandbox};
  const auto format = board::kernel_format_from(options.format);
  if (!format) return fail("--format " + options.format + " is not known", ExitCode::Usage);
  auto backend = make_native_kvm_with(std::move(config), *format, options.arguments);
  if (!backend) return std::unexpected(backend.error());
  BootSession session(**loop, std::move(*backend), *sandbox);
  return session.run(options.timeout_s);
}

}  // namespace

int boot(const BootOptions& options) {
  const auto ended = boot_machine(options);
  return ended ? static_cast<int>(ExitCode::Passed) : report(ended.error());
}

}  // namespace vmm::cli
