// Finds out which rules of the sandbox a program makes use of: it runs one whose filters ask a tracer at each call
// (sisvmm_traced, sisvmm-kvm_traced) and notes the rules' numbers.
//
// Usage: rule_tracer FILE PROGRAM [ARGUMENT...]     appends the numbers to FILE, one a line
//
// This process becomes the program, so whoever started it sees nothing of the tracer: that is a process of its own,
// no child of the program, and it sees to it that no part of the program outlives it.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

namespace {

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::_Exit(125);
}

long request(__ptrace_request what, pid_t thread, unsigned long data = 0) {
  // The kernel takes the number for an address.
  return ::ptrace(what, thread, nullptr, reinterpret_cast<void*>(data));
}

bool stops_its_group(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/// ptrace(2): a thread has stopped; lets it go on.
void serve(pid_t thread, int status, std::set<unsigned long>& rules) {
  const int event = status >> 16;
  const int signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_SECCOMP) {
    unsigned long rule = 0;
    if (::ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &rule) == 0) rules.insert(rule);
  }
  if (event == PTRACE_EVENT_STOP && stops_its_group(signal)) {
    request(PTRACE_LISTEN, thread);
    return;
  }
  // Fails when the thread has been killed meanwhile.
  request(PTRACE_CONT, thread, event == 0 ? static_cast<unsigned long>(signal) : 0);
}

void append(const char* path, const std::set<unsigned long>& rules) {
  std::string text;
  for (const unsigned long rule : rules) text += std::to_string(rule) + "\n";
  // In one piece: others append, too.
  const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0 || ::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) give_up(path);
}

[[noreturn]] void trace(pid_t program, int ready, const char* path) {
  ::setsid();
  constexpr unsigned long kOptions =
      PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL;
  if (request(PTRACE_SEIZE, program, kOptions) != 0) give_up("PTRACE_SEIZE");
  if (::write(ready, "", 1) != 1) give_up("write");
  ::close(ready);
  // The program's, whose readers wait for their end.
  for (const int inherited : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(inherited);
  std::set<unsigned long> rules;
  int status = 0;
  for (pid_t thread = 0; (thread = ::waitpid(-1, &status, __WALL)) > 0;) {
    if (WIFSTOPPED(status)) serve(thread, status, rules);
  }
  append(path, rules);
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: rule_tracer FILE PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) give_up("pipe2");
  const pid_t program = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    if (::fork() == 0) trace(program, ready[1], argv[1]);
    std::_Exit(0);
  }
  ::close(ready[1]);
  char byte = 0;
  if (::waitpid(child, nullptr, 0) != child || ::read(ready[0], &byte, 1) != 1) give_up("no tracer");
  ::execv(argv[2], argv + 2);
  give_up(argv[2]);
}
