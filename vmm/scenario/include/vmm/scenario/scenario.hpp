// A validated scenario: what the YAML file says, as plain data. Nothing here is optional by accident:
// every field has the default that docs/scenario.md states.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace vmm::scenario {

enum class Backend { Auto, Qemu, Kvm };
enum class Accel { Auto, Tcg, Kvm, Hvf };
enum class Verbosity { Quiet, Info, Debug };

struct Machine {
  unsigned cpus = 1;                          ///< 1 to 8
  std::uint64_t memory_bytes = 512ull << 20;  ///< 64 MiB to 64 GiB, a multiple of 2 MiB
  Backend backend = Backend::Auto;
  Accel accel = Accel::Auto;
  std::string cpu;                       ///< QEMU's CPU model; empty: the back end's choice
  bool huge_pages = false;               ///< the host gives the guest's memory in pages of 2 MiB
  unsigned gic_version = 3;              ///< 2 or 3
  std::optional<unsigned> icount_shift;  ///< TCG only: 2^shift ns per instruction, deterministic time
  bool operator==(const Machine&) const = default;
};

/// A condition on one value. All of the given parts must hold (condition.hpp).
struct Condition {
  std::optional<nlohmann::json> equals = {};
  std::optional<nlohmann::json> not_equals = {};
  std::optional<nlohmann::json> min = {};       ///< a number: value >= min
  std::optional<nlohmann::json> max = {};       ///< a number: value <= max
  std::optional<nlohmann::json> contains = {};  ///< of a text: a part of it; of a list: an item
  std::optional<std::string> matches = {};      ///< of a text: RE2 regular expression, searched
  std::optional<bool> exists = {};
  bool operator==(const Condition&) const = default;
};

/// A condition on one field of a reply, which is {"status": "ok", "result": {...}} or {"status": "error", "code": ...,
/// "message": ...[, "field": ...]} (abi/control.hpp). `path` is dotted, with numbers for items of lists:
/// "result.names.0".
struct ReplyExpectation {
  std::string path;
  Condition condition = {};
  bool operator==(const ReplyExpectation&) const = default;
};

/// One control request and what must hold of its reply.
struct Request {
  std::string name;  ///< unique in the scenario
  std::string op;    ///< name of the guest's command
  nlohmann::json args = nlohmann::json::object();
  std::chrono::milliseconds timeout{5000};
  unsigned repeat = 1;        ///< sent this many times, one after the other
  bool expect_error = false;  ///< the guest must refuse; `error_code` says how, if given
  std::optional<std::string> error_code;
  std::vector<ReplyExpectation> expect;
  std::size_t line = 0;  ///< of the request in the file, for messages
  bool operator==(const Request&) const = default;
};

/// A step: its requests run at the same time, each over its own connection. Usually there is one.
struct Step {
  std::vector<Request> requests;
  bool operator==(const Step&) const = default;
};

struct MetricExpectation {
  std::string metric;
  Condition condition = {};
  bool operator==(const MetricExpectation&) const = default;
};

struct ConsoleExpectation {
  std::string text;
  bool present = true;  ///< false: must not occur
  bool operator==(const ConsoleExpectation&) const = default;
};

struct Expectations {
  std::vector<MetricExpectation> metrics;
  std::vector<ConsoleExpectation> console;
  std::optional<int> guest_exit_code;  ///< code of the guest's shutdown; default 0 when it shuts itself down
  bool operator==(const Expectations&) const = default;
};

struct Timeouts {
  std::chrono::milliseconds boot{30000};  ///< start until the control server listens
  std::chrono::milliseconds run{120000};  ///< start until the last step is done
  std::chrono::milliseconds stop{5000};   ///< from the request to stop until the machine is killed
  bool operator==(const Timeouts&) const = default;
};

enum class Reservation { Hard, Soft };

/// A promise of processor time: `budget` in every `period`, by `deadline` after each release (docs/scheduler.md).
struct Server {
  std::string name;  ///< unique
  std::chrono::nanoseconds budget{};
  std::chrono::nanoseconds period{};
  std::optional<std::chrono::nanoseconds> deadline = {};  ///< absent: the period
  std::optional<unsigned> cpu = {};                       ///< absent: the first that it fits on
  Reservation reservation = Reservation::Hard;
  bool reclaim = false;
  bool operator==(const Server&) const = default;
};

/// A job of `work` processor time in every period.
struct PeriodicLoad {
  std::chrono::nanoseconds period{};
  std::chrono::nanoseconds work{};
  std::chrono::nanoseconds offset{};
  std::optional<std::chrono::nanoseconds> deadline = {};  ///< absent: the period
  std::optional<unsigned> jobs = {};                      ///< absent: for ever
  bool operator==(const PeriodicLoad&) const = default;
};

/// Wants the CPU all the time.
struct GreedyLoad {
  std::chrono::nanoseconds start{};
  std::optional<std::chrono::nanoseconds> length = {};  ///< absent: for ever
  bool operator==(const GreedyLoad&) const = default;
};

/// A program at EL0.
struct UserProgram {
  std::string file;  ///< path of an ELF file; absolute once it is loaded
  std::vector<std::string> arguments = {};
  std::uint64_t memory_bytes = std::uint64_t{4} << 20;  ///< that it may have
  std::string place = {};  ///< where `file` is said, for messages: "a.yaml:7:20: tasks[0].program.file"
  bool operator==(const UserProgram&) const = default;
};

/// One of the loads, in a server or best effort.
struct Task {
  std::string name;                  ///< unique
  std::string server = {};           ///< name of one; empty: best effort
  std::optional<unsigned> cpu = {};  ///< of a best-effort task; absent: the first
  std::optional<PeriodicLoad> periodic = {};
  std::optional<GreedyLoad> greedy = {};
  std::optional<UserProgram> program = {};
  bool operator==(const Task&) const = default;
};

enum class Start { Boot, Manual };

struct Scheduler {
  Start start = Start::Boot;     ///< when servers get their promises and tasks begin
  unsigned bound_ppm = 850'000;  ///< of each CPU that servers may be promised
  std::vector<Server> servers;
  bool operator==(const Scheduler&) const = default;
};

struct Scenario {
  std::string name;  ///< default: the file's name without its ending
  std::string description;
  Machine machine;
  Verbosity verbosity = Verbosity::Quiet;  ///< boot.verbosity
  std::string kernel;                      ///< boot.kernel: path of the image; empty: the one built with the monitor
  bool test_services = false;              ///< control.test_services
  Scheduler scheduler;
  std::vector<Task> tasks;
  std::vector<Step> steps;
  Expectations expect;
  Timeouts timeouts;
  bool operator==(const Scenario&) const = default;
};

}  // namespace vmm::scenario
