#include "text_output.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace vmm::cli {
namespace {

bool wants_colours(int fd) {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  if (no_color != nullptr && no_color[0] != '\0') return false;
  return ::isatty(fd) == 1 && term != nullptr && std::string_view(term) != "dumb";
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

TextOutput::TextOutput(int fd, sandbox::Sandbox sandbox)
    : fd_(fd), colours_(wants_colours(fd)), thread_([this, sandbox] { run(sandbox); }) {}

TextOutput::~TextOutput() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
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

void TextOutput::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.empty() && !writing_; });
}

void TextOutput::run(sandbox::Sandbox sandbox) {
  sandbox.enter(sandbox::ThreadKind::Output);
  bool readable = true;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !waiting_.empty() || closing_; });
    if (waiting_.empty()) return;
    const std::string text = std::exchange(waiting_, {});
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
