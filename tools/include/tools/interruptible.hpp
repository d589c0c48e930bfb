// Ctrl-C as something to look at, instead of the end.
#pragma once

#include <csignal>

#include "tools/options.hpp"

namespace sisctl {

/// What a shell shows when SIGINT ended a program.
inline constexpr auto kInterrupted = static_cast<ExitCode>(130);

/// While it lives Ctrl-C is only remembered; the second one ends the program as usual. One at a time, in the main
/// thread.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  /// Ctrl-C has come since this was made.
  [[nodiscard]] static bool interrupted();

 private:
  struct sigaction before_ = {};
};

}  // namespace sisctl
