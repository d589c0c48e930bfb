// The user's terminal, attached to a guest's console.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "vmm/base/event_loop.hpp"
#include "vmm/terminal/escape.hpp"

namespace vmm {

/// Typed ahead while the guest does not read: beyond this the terminal waits.
inline constexpr std::size_t kMaxTyped = 4096;

/// Writes all of it to the standard output. False: it was closed, or cannot be written to.
bool write_output(std::string_view bytes);

/// Puts the terminal back if it is attached, and its screen if that is taken. May be called in a signal handler.
void restore_terminal();

/// While it lives, what is typed goes to `on_typed` byte by byte: no echo, no line editing, Ctrl-C is a byte. The
/// terminal is put back when it ends, also when the program crashes. Input that is no terminal (a pipe, a file) is
/// passed on as it is, without escape keys, until its end.
class AttachedTerminal {
 public:
  struct Callbacks {
    /// Takes all. False: wait with more until resume().
    std::function<bool(std::string_view)> on_typed;
    std::function<void()> on_leave;  ///< the escape keys
  };

  AttachedTerminal(EventLoop& loop, Callbacks callbacks);
  ~AttachedTerminal();
  AttachedTerminal(const AttachedTerminal&) = delete;
  AttachedTerminal& operator=(const AttachedTerminal&) = delete;

  /// Goes on reading after on_typed asked to wait.
  void resume();

  /// Puts the terminal back and takes it again: around being suspended.
  void release();
  void take();

  [[nodiscard]] bool is_terminal() const { return is_terminal_; }

 private:
  void on_readable();
  void end_input();

  EventLoop& loop_;
  Callbacks callbacks_;
  EscapeFilter escape_;
  bool is_terminal_;
  bool watching_ = false;
};

/// While it lives, the standard output, which is a terminal, shows a screen of its own without a cursor. What was on
/// the terminal before is there again when it ends, also when the program crashes. There is one at a time.
class FullScreen {
 public:
  FullScreen();
  ~FullScreen() { release(); }
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  /// Gives the screen back and takes it again, empty: around being suspended.
  void release();
  void take();

  struct Size {
    unsigned columns;
    unsigned rows;
  };
  /// As it is now. A terminal that does not know is taken for one of 80 by 24.
  static Size size();
};

}  // namespace vmm
