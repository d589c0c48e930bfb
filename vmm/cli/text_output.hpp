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
  /// Waits until all is written.
  void drain();

  /// Whether colours are wanted: a terminal, and neither NO_COLOR nor TERM=dumb says otherwise.
  [[nodiscard]] bool colours() const { return colours_; }

 private:
  void run(sandbox::Sandbox sandbox);

  int fd_;
  bool colours_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  std::uint64_t left_out_ = 0;
  bool writing_ = false;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace vmm::cli
