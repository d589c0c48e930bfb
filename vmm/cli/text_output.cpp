#include "text_output.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace vmm::cli {
namespace {

/// Moves to the line's beginning and empties it.
constexpr std::string_view kClearLine = "\r\x1b[K";
/// Around a status: what does not fit into the line is not shown, where the terminal would begin another one.
constexpr std::string_view kNoWrap = "\x1b[?7l";
constexpr std::string_view kWrap = "\x1b[?7h";

bool is_capable_terminal(int fd) {
  const char* const term = std::getenv("TERM");
  return ::isatty(fd) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

bool wants_no_colours() {
  const char* const no_color = std::getenv("NO_COLOR");
  return no_color != nullptr && no_color[0] != '\0';
}

/// False when nobody can read it any more.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      // The terminal is shared with a program that made it non-blocking.
      pollfd wanted{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&wanted, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string coloured(const TextOutput& output, const char* colour, const std::string& text) {
  return output.colours() ? colour + text + colour::kPlain : text;
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

TextOutput::TextOutput(int fd, sandbox::Sandbox sandbox)
    : fd_(fd),
      shows_status_(is_capable_terminal(fd)),
      colours_(shows_status_ && !wants_no_colours()),
      thread_([this, sandbox] { run(sandbox); }) {}

TextOutput::~TextOutput() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    status_changed_ = !status_.empty();
    status_.clear();
  }
  changed_.notify_all();
  thread_.join();
}

void TextOutput::write(std::string_view text) {
  {
    const std::lock_guard lock(mutex_);
    if (left_out_ > 0) {
      waiting_ +=
          "\r\n[" + std::to_string(left_out_) + " bytes of the console are not shown; console.log has them]\r\n";
      left_out_ = 0;
    }
    waiting_ += text;
  }
  changed_.notify_all();
}

void TextOutput::write_console(std::string_view text) {
  bool fits = false;
  {
    const std::lock_guard lock(mutex_);
    fits = waiting_.size() + text.size() <= kMaxWaiting;
    if (!fits) left_out_ += text.size();
  }
  if (fits) write(text);
}

void TextOutput::set_status(const std::string& text) {
  if (!shows_status_) return;
  {
    const std::lock_guard lock(mutex_);
    if (text == status_) return;
    status_ = text;
    status_changed_ = true;
  }
  changed_.notify_all();
}

void TextOutput::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !has_work() && !writing_; });
}

void TextOutput::run(sandbox::Sandbox sandbox) {
  sandbox.enter(sandbox::ThreadKind::Output);
  bool readable = true;
  bool shown = false;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return has_work() || closing_; });
    if (!has_work()) return;
    std::string text = std::exchange(waiting_, {});
    if (shown) text.insert(0, kClearLine);
    shown = !status_.empty();
    if (shown) text.append(kNoWrap).append(status_).append(kWrap);
    status_changed_ = false;
    writing_ = true;
    lock.unlock();
    // Once nobody reads, the run goes on without being watched; its files and its exit code tell the rest.
    if (readable) readable = write_all(fd_, text);
    lock.lock();
    writing_ = false;
    changed_.notify_all();
  }
}

}  // namespace vmm::cli
