// A validated scenario: what the YAML file says, as plain data. Nothing here is optional by accident:
// every field has the default that docs/scenario.md states.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "abi/trace.hpp"
#include "vmm/devices/npu_options/options.hpp"

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

/// Records of the guest's audit log (docs/audit.md), and how many there must be. All of the given fields must be so.
struct AuditExpectation {
  std::optional<Condition> event = {};
  std::optional<Condition> op = {};
  std::optional<Condition> code = {};
  std::optional<Condition> caller = {};
  std::optional<Condition> count = {};  ///< absent: at least one
  bool operator==(const AuditExpectation&) const = default;
};

/// How many events of a kind the guest's trace has.
struct TraceExpectation {
  std::string event;  ///< name of one of abi::trace::kDescriptions
  Condition condition = {};
  bool operator==(const TraceExpectation&) const = default;
};

/// How a run ends that is meant to end badly.
enum class End : std::uint8_t { Panic, BootConfig, TimedOut };

struct Expectations {
  std::vector<MetricExpectation> metrics;
  std::vector<ConsoleExpectation> console;
  std::vector<std::string> console_order;  ///< texts that come one behind the other
  std::vector<AuditExpectation> audit;     ///< needs Scenario::audit
  std::vector<TraceExpectation> trace;     ///< needs Observe::trace, as does the next one
  std::vector<std::string> trace_order;    ///< events that come one behind the other
  std::optional<int> guest_exit_code;      ///< code of the guest's shutdown; default 0 when it shuts itself down
  std::optional<End> end = {};             ///< absent: the run is to come to its end
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

enum class TaskRights : std::uint8_t { Observe = 1, Submit = 2, Both = 3 };  // bits of abi::control::Rights

/// A program's handle to the LLM service.
struct TaskLlm {
  std::string model;         ///< its id
  unsigned max_tokens = 64;  ///< of a request
  TaskRights rights = TaskRights::Both;
  bool operator==(const TaskLlm&) const = default;
};

/// A program at EL0.
struct UserProgram {
  std::string file;  ///< path of an ELF file; absolute once it is loaded
  std::vector<std::string> arguments = {};
  std::uint64_t memory_bytes = std::uint64_t{4} << 20;  ///< that it may have
  std::optional<TaskLlm> llm = {};                      ///< absent: it has no handle
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

/// What the tensors of a channel mean.
struct Schema {
  std::string name;                 ///< unique, and none of those that the kernel knows
  std::optional<unsigned> id = {};  ///< unique likewise; absent: the kernel chooses
  bool operator==(const Schema&) const = default;
};

/// One of the scenario's schemas, or "text" or "tokens"; empty: none.
struct SchemaName {
  std::string name = {};
  unsigned id = 0;  ///< while the file is read: of one that is meant by its id; then 0
  bool operator==(const SchemaName&) const = default;
};

enum class ChannelPolicy { Block, DropOldest, DropNewest };

/// Room for `capacity` tensors between two operators.
struct Channel {
  unsigned id = 0;  ///< unique in the graph
  unsigned capacity = 0;
  ChannelPolicy policy = ChannelPolicy::Block;
  SchemaName schema = {};  ///< none: the first writer says
  bool operator==(const Channel&) const = default;
};

enum class Stage { Acquire, Clean, Explore, Model, Explain };

/// What an operator is told: numbers and texts, as texts. Which there are is the guest's to say.
struct OperatorParameters {
  struct Value {
    std::string name;
    std::string value;
    bool operator==(const Value&) const = default;
  };
  std::vector<Value> values = {};  ///< in the order of the file
  std::string file = {};           ///< "file": path of a file for the boot archive, absolute once loaded; empty: none
  std::string place = {};          ///< where `file` is said, for messages
  bool operator==(const OperatorParameters&) const = default;
};

struct Operator {
  unsigned id = 0;   ///< unique in the graph
  std::string name;  ///< unique in the graph
  std::string kind;  ///< the guest knows which there are
  Stage stage = Stage::Acquire;
  unsigned priority = 0;
  std::optional<std::chrono::nanoseconds> wcet = {};  ///< of one execution; absent: not stated
  unsigned cpu = 0;
  std::vector<unsigned> in = {};   ///< ids of channels
  std::vector<unsigned> out = {};  ///< ids of channels
  SchemaName in_schema = {};       ///< of all inputs; none: what the channels carry
  SchemaName out_schema = {};      ///< of all outputs, likewise
  OperatorParameters parameters = {};
  bool operator==(const Operator&) const = default;
};

/// Of the servers, one on each CPU that a graph uses.
struct GraphServer {
  std::chrono::nanoseconds budget{};
  std::chrono::nanoseconds period{};
  std::optional<std::chrono::nanoseconds> deadline = {};  ///< absent: the period
  Reservation reservation = Reservation::Hard;
  bool operator==(const GraphServer&) const = default;
};

enum class GraphStart { Auto, Manual };

struct Graph {
  std::string name;                                     ///< unique
  std::uint64_t memory_bytes = std::uint64_t{1} << 20;  ///< of its tensors
  unsigned tensors = 256;                               ///< at a time
  std::optional<GraphServer> server = {};               ///< absent: best effort
  GraphStart start = GraphStart::Auto;
  std::optional<unsigned> steps = {};  ///< executions of each source; absent: for ever
  std::vector<Channel> channels = {};
  std::vector<Operator> operators = {};
  bool operator==(const Graph&) const = default;
};

/// A model for the guest: NAME.gguf, and beside it NAME.sig, its signed manifest (docs/models.md).
struct Model {
  std::string file;                           ///< path of the model; absolute once it is loaded
  std::optional<unsigned> min_revision = {};  ///< older ones are refused; absent: any
  bool load = true;                           ///< with the machine; else when it is asked for
  std::string place = {};                     ///< where `file` is said, for messages
  bool operator==(const Model&) const = default;
};

/// Clients of the LLM service that share limits; 0: none of their own.
struct LlmClass {
  std::string name;
  std::uint64_t tokens_per_period = 0;
  unsigned in_flight = 0;
  std::vector<std::string> members = {};  ///< "shell", "control", "graphs", "tasks", "token:NAME"
  bool operator==(const LlmClass&) const = default;
};

/// Models, who is trusted to sign them, and the limits of the service that runs them (docs/llm.md).
struct Llm {
  std::string public_key = {};       ///< 64 hexadecimal digits; empty: nobody
  std::string public_key_file = {};  ///< while the file is read: of a file that has them; then empty
  bool allow_unsigned = false;
  std::vector<Model> models = {};
  std::string server = {};  ///< one of the scheduler's; empty: best effort
  unsigned in_flight = 4;
  unsigned queue = 32;
  unsigned requests = 64;
  unsigned requests_per_owner = 16;
  std::uint64_t prompt_bytes = 16ull << 10;
  unsigned stream_chunks = 64;
  unsigned step_tokens = 32;
  unsigned sessions = 8;
  std::uint64_t session_bytes = 64ull << 20;
  std::chrono::nanoseconds period{1'000'000'000};
  std::uint64_t tokens_per_period = 0;  ///< 0: any number
  std::uint64_t cycles_per_period = 0;  ///< 0: any number
  unsigned hold_periods = 8;
  std::vector<LlmClass> classes = {};
  bool operator==(const Llm&) const = default;
};

/// Where old clients of the control protocol connect; one of the two.
struct LegacySocket {
  std::string unix_path = {};  ///< of a Unix socket, relative to the run directory; empty: TCP
  std::string tcp = {};        ///< "127.0.0.1:PORT", port 0 for a free one; empty: Unix
  bool operator==(const LegacySocket&) const = default;
};

/// The guest's trace.
struct ObserveTrace {
  unsigned events = 65'536;                  ///< of each CPU's ring, a power of two
  std::vector<abi::trace::Group> what = {};  ///< unique; empty: all
  bool operator==(const ObserveTrace&) const = default;
};

/// What is recorded of a run (docs/observation.md).
struct Observe {
  std::optional<std::chrono::milliseconds> metrics{100};  ///< guest time between samples; absent: none are taken
  std::optional<ObserveTrace> trace{ObserveTrace{}};      ///< absent: no trace
  bool operator==(const Observe&) const = default;
};

struct Scenario {
  std::string name;  ///< default: the file's name without its ending
  std::string description;
  Machine machine;
  std::optional<npu::Options> npu = {};    ///< absent: the machine has no NPU
  Verbosity verbosity = Verbosity::Quiet;  ///< boot.verbosity
  std::string kernel;                      ///< boot.kernel: path of the image; empty: the one built with the monitor
  bool test_services = false;              ///< control.test_services
  std::optional<LegacySocket> legacy_socket = {};  ///< control.legacy_socket; absent: none
  bool audit = false;                              ///< control.audit
  Scheduler scheduler;
  std::vector<Task> tasks;
  std::vector<Schema> schemas;
  std::vector<Graph> graphs;
  Llm llm;
  std::optional<Observe> observe = {};  ///< absent: nothing more than what there always is
  std::vector<std::string> autorun;     ///< shell lines that the guest runs before anything comes from outside
  std::vector<Step> steps;
  Expectations expect;
  Timeouts timeouts;
  bool operator==(const Scenario&) const = default;
};

}  // namespace vmm::scenario
