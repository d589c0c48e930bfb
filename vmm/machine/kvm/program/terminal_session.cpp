#include <csignal>
#include <cstdio>

#include "sessions.hpp"
#include "vmm/terminal/signals.hpp"
#include "vmm/terminal/terminal.hpp"

namespace vmm::kvm_program {
namespace {

using abi::ExitCode;

/// One machine whose console is the standard input and output, from its start to its end.
class TerminalSession final : public machine::BackendEvents {
 public:
  TerminalSession(EventLoop& loop, machine_kvm::Machine& machine, sandbox::Sandbox sandbox)
      : loop_(loop), machine_(machine), sandbox_(sandbox) {}

  Result<> run(const std::optional<double>& timeout_s) {
    auto signals = SignalWatch::create(loop_, {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT},
                                       [this](int number) { on_signal(number); });
    if (!signals) return std::unexpected(signals.error());
    if (auto started = machine_.start(loop_, *this); !started) return started;
    terminal_ = std::make_unique<AttachedTerminal>(
        loop_, AttachedTerminal::Callbacks{.on_typed = [this](std::string_view bytes) { return type(bytes); },
                                           .on_leave = [this] { end(std::nullopt); }});
    if (timeout_s) {
      loop_.add_timer(std::chrono::duration_cast<EventLoop::Clock::duration>(std::chrono::duration<double>(*timeout_s)),
                      [this] { end(Error{"the time limit (--timeout) has passed", ExitCode::TimedOut}); });
    }
    sandbox_.enter(sandbox::ThreadKind::Machine);
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
    typed_.erase(0, machine_.write_console(typed_));
    if (typed_.size() < kMaxTyped && terminal_) terminal_->resume();
    return typed_.size() < kMaxTyped;
  }

  void end(std::optional<Error> why) {
    if (ending_) return;
    ending_ = true;
    why_ = std::move(why);
    machine_.end();
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
    std::fprintf(stderr, "%ssisvmm-kvm: warning: %s\n", raw ? "\r\n" : "", message.c_str());
  }

  EventLoop& loop_;
  machine_kvm::Machine& machine_;
  sandbox::Sandbox sandbox_;
  std::unique_ptr<AttachedTerminal> terminal_;
  std::string typed_;
  bool ending_ = false;
  std::optional<Error> why_;
  Result<> how_;
};

}  // namespace

Result<> run_at_terminal(EventLoop& loop, machine_kvm::Machine& machine, sandbox::Sandbox sandbox,
                         std::optional<double> timeout_s) {
  return TerminalSession(loop, machine, sandbox).run(timeout_s);
}

}  // namespace vmm::kvm_program
