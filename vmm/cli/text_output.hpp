// Text for people: a thread that writes it, so that a terminal that was stopped (Ctrl-S) or a reader that sleeps never
// holds the machine up.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "vmm/sandbox/sandbox.hpp"

namespace vmm::cli {

/// Writes to one descriptor in the order of the calls. Safe from any thread.
class TextOutput {
 public:
  /// Console output that waits for its reader beyond this is left out, and the gap is told.
  static constexpr std::size_t kMaxWaiting = std::size_t{4} * 1024 * 1024;

  TextOutput(int fd, sandbox::Sandbox sandbox);
  ~TextOutput();  ///< writes the rest first
  TextOutput(const TextOutput&) = delete;
  TextOutput& operator=(const TextOutput&) = delete;

  /// What must be seen. Never left out.
  void write(std::string_view text);
  /// What the guest prints, as much as it likes.
  void write_console(std::string_view text);
  /// A line that stands below all that is written, until the next call; empty: none. Nothing happens where the
  /// descriptor is no terminal that can show one. What is written must end with whole lines meanwhile.
  void set_status(const std::string& text);
  /// Waits until all is written.
  void drain();

  /// Whether colours are wanted: a terminal, and neither NO_COLOR nor TERM=dumb says otherwise.
  [[nodiscard]] bool colours() const { return colours_; }
  /// Whether a status would be shown: a terminal, and TERM is not dumb.
  [[nodiscard]] bool shows_status() const { return shows_status_; }

 private:
  void run(sandbox::Sandbox sandbox);
  [[nodiscard]] bool has_work() const { return !waiting_.empty() || status_changed_; }

  int fd_;
  bool shows_status_;
  bool colours_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  std::string status_;
  bool status_changed_ = false;
  std::uint64_t left_out_ = 0;
  bool writing_ = false;
  bool closing_ = false;
  std::thread thread_;
};

/// Beginnings of colours in a terminal's language (ECMA-48, SGR), and their end.
namespace colour {
inline constexpr char kRed[] = "\x1b[31m";
inline constexpr char kGreen[] = "\x1b[32m";
inline constexpr char kDim[] = "\x1b[2m";
inline constexpr char kPlain[] = "\x1b[0m";
}  // namespace colour

/// `text` in a colour, where colours are wanted.
std::string coloured(const TextOutput& output, const char* colour, const std::string& text);

/// With blanks behind it, so that it takes `width` columns.
std::string padded(std::string text, std::size_t width);

}  // namespace vmm::cli
