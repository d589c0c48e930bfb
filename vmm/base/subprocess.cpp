#include "vmm/base/subprocess.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "subprocess_platform.hpp"

#ifdef __APPLE__
extern char** environ;  // POSIX leaves the declaration to the program; glibc makes it
#endif

namespace vmm {
namespace {

constexpr std::size_t kMaxOutputBytes = std::size_t{1024} * 1024;
constexpr std::size_t kMaxInherited = 16;

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) return fail_errno("cannot make a pipe");
  std::pair pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  ::fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  return pipe;
}

/// All that the child needs between fork and exec, made before: there it may neither allocate nor take a lock, since
/// another thread may have held one when the process was copied.
struct ChildPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  int standard_output;
  int standard_error;
  std::array<int, kMaxInherited> inherited;
  int inherited_count;
  int error_pipe;
  pid_t parent;
};

void restore_signals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGCHLD}) {
    ::sigaction(number, &standard, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Puts the descriptors where the child expects them. False with errno if one cannot be moved.
bool place_descriptors(ChildPlan& plan) {
  // First out of the way of the numbers to fill, then into place; dup2 drops close-on-exec.
  const int clear = Subprocess::kFirstInherited + plan.inherited_count + 1;
  const auto lift = [clear](int& fd) { return fd < 0 || (fd = ::fcntl(fd, F_DUPFD_CLOEXEC, clear)) >= 0; };
  if (!lift(plan.standard_output) || !lift(plan.standard_error) || !lift(plan.error_pipe)) return false;
  for (int i = 0; i < plan.inherited_count; ++i) {
    if (!lift(plan.inherited[static_cast<std::size_t>(i)])) return false;
  }
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::dup2(null, 0) < 0) return false;
  if (::dup2(plan.standard_output < 0 ? 0 : plan.standard_output, 1) < 0) return false;
  if (::dup2(plan.standard_error < 0 ? 0 : plan.standard_error, 2) < 0) return false;
  for (int i = 0; i < plan.inherited_count; ++i) {
    if (::dup2(plan.inherited[static_cast<std::size_t>(i)], Subprocess::kFirstInherited + i) < 0) return false;
  }
  // The error pipe is the one descriptor above that lives on, until exec closes it.
  const int keep = Subprocess::kFirstInherited + plan.inherited_count;
  if (::dup2(plan.error_pipe, keep) < 0 || ::fcntl(keep, F_SETFD, FD_CLOEXEC) < 0) return false;
  plan.error_pipe = keep;
  platform::close_from(keep + 1);
  return true;
}

[[noreturn]] void run_child(ChildPlan plan) {
  ::setpgid(0, 0);
  if (!platform::die_with_parent(plan.parent)) ::_exit(127);
  restore_signals();
  if (place_descriptors(plan)) ::execve(plan.program, plan.arguments, plan.environment);
  const int error = errno;
  static_cast<void>(!::write(plan.error_pipe, &error, sizeof error));
  ::_exit(127);
}

/// Our own environment and what is not in it of `more`, which outlives the result; null at its end.
std::vector<char*> environment_with(const std::vector<std::string>& more) {
  std::vector<char*> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.push_back(*entry);
  for (const std::string& variable : more) {
    if (::getenv(variable.substr(0, variable.find('=')).c_str()) != nullptr) continue;
    all.push_back(const_cast<char*>(variable.c_str()));  // as for the arguments
  }
  all.push_back(nullptr);
  return all;
}

ExitStatus decode(int status) {
  if (WIFSIGNALED(status)) return {.signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status)};
}

ExitStatus reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return {.code = 127};  // not our child: reaped by somebody else, which is our bug
  }
  return decode(status);
}

bool is_executable(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

/// Reads until the end of file; false when it did not come in time or there was too much.
bool read_all(const UniqueFd& fd, std::string& text, int timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  std::array<char, 4096> chunk;
  while (text.size() <= kMaxOutputBytes) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wanted{.fd = fd.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return false;
}

}  // namespace

std::string ExitStatus::describe() const {
  if (signal != 0) return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  return "exited with code " + std::to_string(code);
}

std::optional<std::string> find_program(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string::npos) return is_executable(name) ? std::optional(name) : std::nullopt;
  const char* const path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (true) {
    const auto colon = rest.find(':');
    const auto folder = rest.substr(0, colon);
    // An empty part means the current directory.
    std::string candidate = (folder.empty() ? "." : std::string(folder)) + "/" + name;
    if (is_executable(candidate)) return candidate;
    if (colon == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(colon + 1);
  }
}

Result<Subprocess> Subprocess::spawn(const SubprocessOptions& options) {
  if (options.arguments.empty() || options.inherited.size() > kMaxInherited) {
    return fail("cannot start a process: no program, or too many descriptors");
  }
  const std::string& name = options.arguments.front();
  const auto program = find_program(name);
  if (!program) return fail("cannot start " + name + ": there is no such program", abi::ExitCode::HostLacks);
  auto pipe = make_pipe();
  if (!pipe) return std::unexpected(pipe.error());
  auto& [error_read, error_write] = *pipe;

  std::vector<char*> arguments;
  arguments.reserve(options.arguments.size() + 1);
  // execve does not write to its arguments; its type predates const.
  for (const auto& argument : options.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment = environment_with(options.environment);
  ChildPlan plan{.program = program->c_str(),
                 .arguments = arguments.data(),
                 .environment = environment.data(),
                 .standard_output = options.standard_output,
                 .standard_error = options.standard_error,
                 .inherited = {},
                 .inherited_count = static_cast<int>(options.inherited.size()),
                 .error_pipe = error_write.get(),
                 .parent = ::getpid()};
  std::ranges::copy(options.inherited, plan.inherited.begin());

  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("cannot start " + name);
  if (pid == 0) run_child(plan);
  error_write.reset();

  // From here the child is killed and reaped by the destructor on every way out.
  Subprocess child(pid, UniqueFd(), UniqueFd());
  int error = 0;
  ssize_t got;
  while ((got = ::read(error_read.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (got == static_cast<ssize_t>(sizeof error)) return fail_errno("cannot start " + *program, error);
  auto lifeline = platform::tie_to_us(pid);
  if (!lifeline) return std::unexpected(lifeline.error());
  child.lifeline_ = std::move(*lifeline);
  auto exit_fd = platform::watch_exit(pid);
  if (!exit_fd) return std::unexpected(exit_fd.error());
  child.exit_fd_ = std::move(*exit_fd);
  return child;
}

Subprocess::Subprocess(pid_t pid, UniqueFd exit_fd, UniqueFd lifeline)
    : pid_(pid), exit_fd_(std::move(exit_fd)), lifeline_(std::move(lifeline)) {}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      exit_fd_(std::move(other.exit_fd_)),
      lifeline_(std::move(other.lifeline_)),
      status_(other.status_) {}

Subprocess::~Subprocess() {
  if (pid_ < 0 || status_) return;
  kill();
  wait();
}

void Subprocess::kill() const {
  // Until it is reaped its number is its own.
  if (pid_ > 0 && !status_) ::kill(pid_, SIGKILL);
}

ExitStatus Subprocess::wait() {
  if (!status_) {
    status_ = reap(pid_);
    lifeline_.reset();
  }
  return *status_;
}

Result<ProgramOutput> run_program(const std::vector<std::string>& arguments, int timeout_ms) {
  auto pipe = make_pipe();
  if (!pipe) return std::unexpected(pipe.error());
  auto& [read_end, write_end] = *pipe;
  auto child = Subprocess::spawn(
      {.arguments = arguments, .standard_output = write_end.get(), .standard_error = write_end.get(), .inherited = {}});
  if (!child) return std::unexpected(child.error());
  write_end.reset();
  ProgramOutput output;
  if (!read_all(read_end, output.text, timeout_ms)) {
    return fail(arguments.front() + " did not end within " + std::to_string(timeout_ms) + " ms, or printed too much");
  }
  output.status = child->wait();
  return output;
}

}  // namespace vmm
