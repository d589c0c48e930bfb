// A child process that inherits exactly what it is given and does not outlive this one.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm {

/// How a child ended.
struct ExitStatus {
  int code = 0;    ///< exit code, if signal is 0
  int signal = 0;  ///< the signal that killed it, or 0

  [[nodiscard]] bool ok() const { return code == 0 && signal == 0; }
  /// "exited with code 1", "was killed by signal 9 (Killed)".
  [[nodiscard]] std::string describe() const;
};

/// What to start.
struct SubprocessOptions {
  std::vector<std::string> arguments;  ///< [0] is the program; looked up in PATH when it has no slash
  int standard_output = -1;            ///< a descriptor to use, or -1: /dev/null; standard input always is /dev/null
  int standard_error = -1;
  /// Inherited as descriptors 3, 4, 5 ... in this order; nothing else is.
  std::vector<int> inherited;
  /// "NAME=value" each, beside our own environment; a variable that is in it already stays as it is.
  std::vector<std::string> environment = {};
};

/// Owns a child. It runs in a process group of its own, so Ctrl-C on the terminal reaches only us.
class Subprocess {
 public:
  /// First number of SubprocessOptions::inherited in the child.
  static constexpr int kFirstInherited = 3;

  /// Starts it. On Linux the child is killed when the *thread* that calls this ends (PR_SET_PDEATHSIG), so call it
  /// from the main thread. Errors: the program cannot be executed (with the reason), no process, no descriptor.
  static Result<Subprocess> spawn(const SubprocessOptions& options);

  Subprocess(Subprocess&& other) noexcept;
  Subprocess& operator=(Subprocess&&) = delete;
  /// Kills it and waits, if it has not been waited for.
  ~Subprocess();

  [[nodiscard]] pid_t pid() const { return pid_; }

  /// Readable once the child has ended; for an event loop. Still ours.
  [[nodiscard]] int exit_fd() const { return exit_fd_.get(); }

  /// SIGKILL. Nothing happens when it has ended and was waited for.
  void kill() const;

  /// Waits for the end. The first call reaps the child, later ones return the same.
  ExitStatus wait();

 private:
  Subprocess(pid_t pid, UniqueFd exit_fd, UniqueFd lifeline);

  pid_t pid_;
  UniqueFd exit_fd_;
  UniqueFd lifeline_;  ///< where the system has no PR_SET_PDEATHSIG: closing it ends the child
  std::optional<ExitStatus> status_;
};

/// Finds a program as execvp() would. Nothing when there is no executable of that name.
std::optional<std::string> find_program(const std::string& name);

/// What a short program printed.
struct ProgramOutput {
  ExitStatus status;
  std::string text;  ///< standard output and error, at most 1 MiB
};

/// Runs a program that ends by itself and reads what it prints. It is killed after `timeout_ms`: an error.
Result<ProgramOutput> run_program(const std::vector<std::string>& arguments, int timeout_ms);

}  // namespace vmm
