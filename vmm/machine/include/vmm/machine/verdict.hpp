// What a run comes to, from what was seen of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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

/// What came of things that must come one behind the other.
/// @param kind of the expectation
/// @param found how many came in their order, from the first on
observe::ExpectationResult evaluate_order(const char* kind, const std::vector<std::string>& wanted, std::size_t found);

/// What is known of the run beyond its summary.
struct Evidence {
  std::vector<bool> console_seen;    ///< one entry for each of expect.console: the text has occurred
  std::size_t console_in_order = 0;  ///< how many of expect.console_order have come, one behind the other
  std::map<std::string, std::uint64_t, std::less<>> samples = {};  ///< FinalMetrics::samples
};

/// Evaluates what the scenario expects of the finished run against metrics, device counters and the console.
std::vector<observe::ExpectationResult> evaluate_expectations(const scenario::Expectations& expect,
                                                              const observe::Summary& summary,
                                                              const Evidence& evidence);

}  // namespace vmm::machine
