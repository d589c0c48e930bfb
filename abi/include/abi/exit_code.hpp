// Exit codes of `sisvmm run` (docs/exit-codes.md).
#pragma once

namespace abi {

enum class ExitCode : int {
  Passed = 0,
  Failed = 1,     ///< a step or an expectation failed, or the guest shut down with a code other than 0
  Usage = 2,      ///< wrong arguments or a bad scenario
  HostLacks = 3,  ///< this host lacks something that the scenario needs
  GuestPanic = 4,
  BootConfig = 5,     ///< the guest refused its boot configuration
  TimedOut = 6,       ///< the guest hung or a time limit passed
  Internal = 7,       ///< internal error, or the back end died
  Interrupted = 130,  ///< SIGINT or SIGTERM
};

}  // namespace abi
