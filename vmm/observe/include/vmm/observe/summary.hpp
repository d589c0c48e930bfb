// What a run came to, and the two files that say so: summary.json for programs, junit.xml for CI systems.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "abi/exit_code.hpp"
#include "vmm/base/result.hpp"
#include "vmm/observe/console_parser.hpp"

namespace vmm::observe {

enum class Outcome : std::uint8_t {
  Passed,  ///< every step and expectation held
  Failed,  ///< one did not
  Error,   ///< the run came to no verdict: panic, hang, back end died, interrupted ...
};
const char* to_string(Outcome outcome);

enum class StepStatus : std::uint8_t { Passed, Failed, Skipped };
const char* to_string(StepStatus status);

/// One request of the scenario.
struct StepResult {
  std::string name;
  std::string op;
  StepStatus status = StepStatus::Skipped;
  std::chrono::nanoseconds duration{0};           ///< all repetitions, without the time to connect
  unsigned sent = 0;                              ///< requests sent
  unsigned replies = 0;                           ///< of those answered, with a result or an error
  std::chrono::steady_clock::time_point began{};  ///< when the first was sent, if one was
  std::uint32_t first_request = 0;                ///< id of that on its connection
  std::uint32_t last_request = 0;
  nlohmann::json reply;  ///< the last one; null when none came
  std::string message;   ///< why it failed or was skipped
};

/// Kind of the expectation that a run ends badly.
inline constexpr char kEndExpectation[] = "end";

struct ExpectationResult {
  std::string kind;     ///< "metric", "console", "audit", "trace", ... or kEndExpectation
  std::string subject;  ///< the metric's name, the text
  std::string wanted;   ///< in words
  nlohmann::json actual;
  bool passed = false;
};

struct Summary {
  std::string version;  ///< of the monitor
  std::string scenario;
  std::string machine;
  Outcome outcome = Outcome::Error;
  abi::ExitCode exit_code = abi::ExitCode::Internal;
  std::string message;  ///< why not Passed, as a sentence; empty when passed

  std::string backend;
  std::string backend_version;
  std::string accel;
  unsigned cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<std::string> files;  ///< in the run directory, what was collected for others to read
  std::string legacy_socket;       ///< where clients of protocol version 0 connected; empty: nowhere

  std::chrono::system_clock::time_point started{};
  std::chrono::nanoseconds duration{0};               ///< start of the back end until its end
  std::optional<std::chrono::nanoseconds> boot_host;  ///< start of the back end until the control server replied
  std::optional<std::int64_t> boot_guest_ns;          ///< the guest's own figure (abi::console)
  std::optional<ExitRecord> guest_exit;
  unsigned reboots = 0;
  bool killed = false;  ///< the machine had to be killed: it did not stop in time

  std::vector<std::string> warnings;  ///< what went wrong and the machine survived; the first ones
  std::uint64_t warnings_left_out = 0;

  std::vector<StepResult> steps;
  std::vector<ExpectationResult> expectations;
  std::map<std::string, std::int64_t, std::less<>> metrics;
  std::map<std::string, std::uint64_t, std::less<>> device_counters;
  std::uint64_t console_bytes = 0;
  std::uint64_t console_bytes_not_logged = 0;  ///< beyond the log's limit
  std::uint64_t console_malformed_lines = 0;   ///< that began like a metric or a record and were none
};

/// Whether the run came to what its scenario says: it has passed, or it ended as badly as it is meant to and all that
/// is expected of it held.
bool ended_as_expected(const Summary& summary);
/// RFC 3339, UTC, to the second.
std::string time_text(std::chrono::system_clock::time_point time);

/// summary.json as a value.
nlohmann::ordered_json to_json(const Summary& summary);

/// JSON text, whatever bytes the guest put into it: what is not UTF-8 becomes U+FFFD.
std::string to_text(const nlohmann::ordered_json& json);

/// What a summary.json says of a run: all but what concerns the machine that it ran on. Error: the text is none.
Result<Summary> read_summary(std::string_view text);

/// junit.xml: one test case for each step and each expectation. What XML cannot hold becomes U+FFFD.
std::string to_junit(const Summary& summary);

/// One scenario of several that were run.
struct SuiteCase {
  std::string name;  ///< unique in the suite
  std::chrono::nanoseconds duration{0};
  std::optional<Summary> summary;  ///< absent: it was skipped, or came to none
  bool skipped = false;
  std::string message;  ///< why it was skipped or has no summary
};

/// The same for a suite: a test suite for each scenario.
std::string to_junit(const std::string& suite, const std::vector<SuiteCase>& cases);

}  // namespace vmm::observe
