// What a run comes to, from what was seen of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/observe/summary.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

/// Why the monitor began to end the machine.
enum class StopCause : std::uint8_t {
  None,         ///< it did not: the guest ended by itself
  Done,         ///< the steps are done
  Left,         ///< the user left the attached terminal
  Requested,    ///< `sisvmm stop`
  Interrupted,  ///< a signal
  BootTimeout,
  RunTimeout,
  NoControl,  ///< the control server cannot be talked to
};

/// All that the outcome depends on.
struct RunFacts {
  Result<> exited;                    ///< as the back end tells it
  StopCause cause = StopCause::None;  ///< the first one
  std::string detail;                 ///< about the cause: the signal, what was waited for
  bool ready = false;                 ///< the control server has answered
  bool steps_done = false;            ///< all steps were run, or the run has none
  bool killed = false;                ///< did not stop in time after having been asked to
  std::optional<observe::ExitRecord> record;
  bool backend_saw_panic = false;
  std::string panic_reason;      ///< for the message
  std::string boot_config_line;  ///< what the guest said about its boot configuration
  std::string last_console_lines;
};

/// Sets outcome, exit_code and message of `summary` from the facts and from its steps and expectations. The most
/// telling fact decides: a panic explains a lost connection and a failed step, not the other way round.
void judge(const RunFacts& facts, observe::Summary& summary);

/// Holds what `summary` came to against the bad end that the scenario is meant to have, as one more expectation;
/// nothing is `wanted`: does nothing. Outcome and exit code stay, since they say what happened; but a run that came to
/// a good end has failed. After judge().
void judge_end(std::optional<scenario::End> wanted, observe::Summary& summary);

/// Evaluates what the scenario expects of the finished run against metrics and device counters.
/// @param console_seen one entry for each of expect.console: the text has occurred
std::vector<observe::ExpectationResult> evaluate_expectations(const scenario::Expectations& expect,
                                                              const observe::Summary& summary,
                                                              const std::vector<bool>& console_seen);

}  // namespace vmm::machine
