#include "vmm/terminal/terminal.hpp"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>

namespace vmm {
namespace {

// For the handler of a crash: a signal handler can reach only what is global. Set before `is_raw` and not changed while
// it is true.
termios original_settings;
std::atomic<bool> is_raw{false};
std::atomic<bool> has_screen{false};

// xterm, "Private Modes" 1049 (alternate screen, cursor kept) and 25 (cursor shown); ECMA-48, "SGR": no attributes.
constexpr std::string_view kTakeScreen = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kGiveScreen = "\x1b[m\x1b[?25h\x1b[?1049l";

constexpr std::array kCrashSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

void on_crash(int number, siginfo_t* info, void*) {
  restore_terminal();
  // SA_RESETHAND: the fault strikes again where it did, and then ends the process. A signal that was sent does not.
  if (info->si_code <= 0) ::raise(number);
}

/// Handlers that somebody else has set (a sanitizer's) are left alone.
void guard_against_crashes() {
  for (const int number : kCrashSignals) {
    struct sigaction present{};
    if (::sigaction(number, nullptr, &present) != 0 || present.sa_handler != SIG_DFL) continue;
    struct sigaction action{};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace

void restore_terminal() {
  // So may write(). Nothing can be done about a terminal that does not take it.
  if (has_screen.exchange(false)) (void)!::write(STDOUT_FILENO, kGiveScreen.data(), kGiveScreen.size());
  // tcsetattr may be called from a handler (POSIX, "Signal Concepts").
  if (is_raw.exchange(false)) ::tcsetattr(STDIN_FILENO, TCSANOW, &original_settings);
}

bool write_output(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

AttachedTerminal::AttachedTerminal(EventLoop& loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), is_terminal_(::isatty(STDIN_FILENO) == 1) {
  if (is_terminal_ && ::tcgetattr(STDIN_FILENO, &original_settings) != 0) is_terminal_ = false;
  if (is_terminal_) guard_against_crashes();
  take();
  loop_.add(STDIN_FILENO, Interest::Read, [this](Events) { on_readable(); });
  watching_ = true;
}

AttachedTerminal::~AttachedTerminal() {
  end_input();
  release();
}

void AttachedTerminal::take() {
  if (!is_terminal_ || is_raw) return;
  termios raw = original_settings;
  // What cfmakeraw() sets, but output is still processed: a line feed of ours goes to the start of the line.
  raw.c_iflag &= static_cast<tcflag_t>(~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON));
  raw.c_lflag &= static_cast<tcflag_t>(~(ECHO | ECHONL | ICANON | ISIG | IEXTEN));
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  is_raw = true;
  if (::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0) is_raw = false;
}

void AttachedTerminal::release() {
  if (is_raw.exchange(false)) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &original_settings);
}

void AttachedTerminal::resume() {
  if (watching_) loop_.modify(STDIN_FILENO, Interest::Read);
}

void AttachedTerminal::end_input() {
  if (std::exchange(watching_, false)) loop_.remove(STDIN_FILENO);
}

void AttachedTerminal::on_readable() {
  std::array<char, 4096> chunk;
  const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    end_input();
    // A terminal that is gone takes its user along; the end of a file only means that nothing more is typed.
    if (is_terminal_) callbacks_.on_leave();
    return;
  }
  const std::string_view bytes(chunk.data(), static_cast<std::size_t>(got));
  auto typed = is_terminal_ ? escape_.feed(bytes) : EscapeFilter::Typed{.bytes = std::string(bytes)};
  if (!typed.bytes.empty() && !callbacks_.on_typed(typed.bytes) && watching_) {
    loop_.modify(STDIN_FILENO, Interest::None);
  }
  if (typed.leave) callbacks_.on_leave();
}

FullScreen::FullScreen() {
  guard_against_crashes();
  take();
}

void FullScreen::take() {
  if (!has_screen.exchange(true)) write_output(kTakeScreen);
}

void FullScreen::release() {
  if (has_screen.exchange(false)) write_output(kGiveScreen);
}

FullScreen::Size FullScreen::size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {.columns = 80, .rows = 24};
  }
  return {.columns = size.ws_col, .rows = size.ws_row};
}

}  // namespace vmm
