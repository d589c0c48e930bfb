// The boot configuration: a newc cpio archive as initrd, with the scenario as a flattened device tree
// (docs/boot-config.md). Names only; the monitor writes them and the guest reads them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace abi::boot_config {

/// File in the archive that holds the tree.
inline constexpr char kScenarioFile[] = "scenario.dtb";

/// Limits that both sides hold to.
inline constexpr std::size_t kMaxArchiveEntries = 256;
inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxTreeBytes = std::size_t{1024} * 1024;

/// Root node.
inline constexpr char kCompatible[] = "sis,scenario-v1";   ///< value of /compatible
inline constexpr char kName[] = "sis,name";                ///< string: the scenario's name
inline constexpr char kUnixTimeNs[] = "sis,unix-time-ns";  ///< u64: wall clock of the host when it wrote the tree

/// /boot
inline constexpr char kBootNode[] = "boot";
inline constexpr char kVerbosity[] = "verbosity";  ///< string: "quiet", "info" or "debug"

/// /control
inline constexpr char kControlNode[] = "control";
inline constexpr char kControlKey[] = "key";    ///< abi::control::kKeyBytes bytes
inline constexpr char kControlSeed[] = "seed";  ///< kSeedBytes random bytes; absent: none
inline constexpr std::size_t kSeedBytes = 32;
inline constexpr char kControlTestServices[] = "test-services";  ///< empty property: echo, discard, chargen listen
/// Empty property: the control server listens on abi::control::kLegacyPort, too.
inline constexpr char kControlLegacySocket[] = "legacy-socket";

/// /scheduler: a node "server@N" for each server, in the order of their ids. Times are u64, nanoseconds.
inline constexpr char kSchedulerNode[] = "scheduler";
inline constexpr char kServerNode[] = "server@";
inline constexpr char kBoundPpm[] = "bound-ppm";  ///< u32: of each CPU that servers may be promised
inline constexpr char kManual[] = "manual";       ///< empty property: servers and tasks do not start before `det on`
inline constexpr char kItemName[] = "name";       ///< string of 1 to kMaxItemName bytes, of servers and tasks
inline constexpr char kBudgetNs[] = "budget-ns";
inline constexpr char kPeriodNs[] = "period-ns";
inline constexpr char kDeadlineNs[] = "deadline-ns";
inline constexpr char kCpu[] = "cpu";    ///< u32; absent: the first that the server fits on, or the boot CPU for a task
inline constexpr char kSoft[] = "soft";  ///< empty property: goes on with the next period's budget
inline constexpr char kReclaim[] = "reclaim";  ///< empty property: may have what other servers leave

/// /tasks: a node "task@N" for each task. One with period-ns has a job in each period, one with "greedy" always wants
/// the CPU, one with "program" is a user task.
inline constexpr char kTasksNode[] = "tasks";
inline constexpr char kTaskNode[] = "task@";
inline constexpr char kTaskServer[] = "server";  ///< u32: N of its server; absent: best effort
inline constexpr char kWorkNs[] = "work-ns";     ///< processor time of each job
inline constexpr char kOffsetNs[] = "offset-ns";
inline constexpr char kJobs[] = "jobs";      ///< u32; absent: for ever
inline constexpr char kGreedy[] = "greedy";  ///< empty property
inline constexpr char kStartNs[] = "start-ns";
inline constexpr char kLengthNs[] = "length-ns";  ///< absent: for ever
inline constexpr char kProgram[] = "program";     ///< string: name of its file in the archive
/// Strings one after the other, each ended by a NUL: argv[1] and so on; absent: none.
inline constexpr char kArguments[] = "arguments";
inline constexpr char kMemoryBytes[] = "memory-bytes";  ///< u64, whole pages: what the task may have, tables included
/// Of a program with a handle to the LLM service (docs/user-tasks.md, Models), all three: the id of the model (string),
/// the most tokens of a request (u32, at least 1), abi::control::Rights (u32: OBSERVE, SUBMIT or both).
inline constexpr char kTaskLlmModel[] = "llm-model";
inline constexpr char kTaskLlmMaxTokens[] = "llm-max-tokens";
inline constexpr char kTaskLlmRights[] = "llm-rights";
inline constexpr std::uint32_t kMaxTaskLlmTokens = 1'000'000;
/// Folder of programs in the archive.
inline constexpr char kProgramsFolder[] = "programs/";

inline constexpr std::size_t kMaxServers = 64;
inline constexpr std::size_t kMaxTasks = 64;
inline constexpr std::size_t kMaxItemName = 32;
inline constexpr std::size_t kMaxProgramName = 64;     ///< with the folder
inline constexpr std::size_t kMaxArguments = 15;       ///< of a program
inline constexpr std::size_t kMaxArgumentBytes = 512;  ///< with their NULs
inline constexpr std::uint64_t kMinTaskMemory = std::uint64_t{256} << 10;
inline constexpr std::uint64_t kMaxTaskMemory = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kTaskMemoryUnit = 4096;
inline constexpr std::uint32_t kMaxCpus = 8;
inline constexpr std::uint32_t kDefaultBoundPpm = 850'000;
inline constexpr std::uint32_t kWholeCpuPpm = 1'000'000;
inline constexpr std::uint64_t kMaxPeriodNs = 1'000'000'000'000;

/// /schemas: a node "schema@N" for each schema, with kItemName and maybe kId; before /graphs. Those that say their id
/// come first, so that none that the kernel chooses is in their way.
inline constexpr char kSchemasNode[] = "schemas";
inline constexpr char kSchemaNode[] = "schema@";
/// Schemas that the kernel knows without being told.
struct KnownSchema {
  const char* name;
  std::uint32_t id;
};
inline constexpr KnownSchema kKnownSchemas[] = {{"text", 1001}, {"tokens", 1002}};
inline constexpr char kId[] = "id";  ///< u32: of a schema (absent: the kernel chooses), a channel, an operator

/// /graphs: a node "graph@N" for each graph (docs/graph.md). kItemName, to kMaxGraphName bytes; kMemoryBytes: of its
/// tensors. kBudgetNs, kPeriodNs, kDeadlineNs, kSoft: of its servers; all absent: it runs best effort. kManual: it does
/// not start with the machine.
inline constexpr char kGraphsNode[] = "graphs";
inline constexpr char kGraphNode[] = "graph@";
inline constexpr char kTensors[] = "tensors";  ///< u32: how many at a time
inline constexpr char kSteps[] = "steps";      ///< u32: executions of each source; absent: for ever

/// In a graph: a node "channel@N" for each channel, then a node "operator@N" for each operator; both count from 0.
inline constexpr char kChannelNode[] = "channel@";
inline constexpr char kCapacity[] = "capacity";  ///< u32: tensors
inline constexpr char kPolicy[] = "policy";      ///< string: one of kPolicies; absent: the first
inline constexpr char kSchema[] = "schema";      ///< string: name of a schema; absent: the first writer says
inline constexpr const char* kPolicies[] = {"block", "drop-oldest", "drop-newest"};

/// kItemName, kId, kCpu.
inline constexpr char kOperatorNode[] = "operator@";
inline constexpr char kKind[] = "kind";          ///< string: what it does
inline constexpr char kStage[] = "stage";        ///< string: one of kStages
inline constexpr char kPriority[] = "priority";  ///< u32, to kMaxPriority; absent: 0
inline constexpr char kWcetNs[] = "wcet-ns";     ///< u64: of one execution; absent: not stated
inline constexpr char kInputs[] = "inputs";      ///< u32 each: ids of channels; absent: none
inline constexpr char kOutputs[] = "outputs";
inline constexpr char kInSchema[] = "in-schema";  ///< string: name of a schema; absent: what the channels carry
inline constexpr char kOutSchema[] = "out-schema";
/// Strings one after the other, each ended by a NUL: name, value, name, value; absent: none.
inline constexpr char kParameters[] = "parameters";
inline constexpr const char* kStages[] = {"acquire", "clean", "explore", "model", "explain"};
/// Folder of the files in the archive that operators name; the value of a parameter is the name with the folder.
inline constexpr char kFilesFolder[] = "files/";
/// The parameter that names one.
inline constexpr char kFileParameter[] = "file";

inline constexpr std::size_t kMaxSchemas = 62;  ///< beside those that the kernel knows
inline constexpr std::size_t kMaxSchemaName = 32;
inline constexpr std::size_t kMaxGraphs = 8;
inline constexpr std::size_t kMaxGraphName = 24;
inline constexpr std::uint64_t kMinGraphMemory = 4096;
inline constexpr std::uint64_t kMaxGraphMemory = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kGraphMemoryUnit = 4096;
inline constexpr std::uint32_t kMaxTensors = 65'535;
inline constexpr std::uint32_t kMaxSteps = 1'000'000'000;
inline constexpr std::size_t kMaxChannels = 128;  ///< of a graph
inline constexpr std::uint32_t kMaxChannelId = 65'534;
inline constexpr std::uint32_t kMaxChannelCapacity = 65'535;
inline constexpr std::size_t kMaxOperators = 64;  ///< of a graph
inline constexpr std::size_t kMaxKindName = 32;
inline constexpr std::uint32_t kMaxPriority = 255;
inline constexpr std::size_t kMaxPorts = 8;  ///< inputs of an operator, and outputs
inline constexpr std::size_t kMaxParameters = 8;
inline constexpr std::size_t kMaxParameterName = 32;
inline constexpr std::size_t kMaxParameterText = 64;

/// /llm: packages of models (docs/models.md), and a node "model@N" for each model in the archive.
inline constexpr char kLlmNode[] = "llm";
inline constexpr char kPublicKey[] = "public-key";  ///< kPublicKeyBytes bytes: Ed25519, of who signs; absent: nobody
inline constexpr char kAllowUnsigned[] = "allow-unsigned";  ///< empty property
/// kItemName: NAME of the files NAME.gguf and, unless it is unsigned, NAME.sig in kModelsFolder.
inline constexpr char kModelNode[] = "model@";
inline constexpr char kMinRevision[] = "min-revision";  ///< u32, at least 1; absent: any
inline constexpr char kLoad[] = "load";  ///< empty property: with the machine; absent: when it is asked for
inline constexpr char kModelsFolder[] = "models/";
inline constexpr char kModelEnding[] = ".gguf";
inline constexpr char kSignatureEnding[] = ".sig";
inline constexpr std::size_t kPublicKeyBytes = 32;
inline constexpr std::size_t kMaxModels = 16;
inline constexpr std::size_t kMaxModelName = 32;  ///< without folder and ending

/// Limits of the service that answers requests to models, properties of /llm (docs/llm.md). u32 unless it is said;
/// absent: the service's default. kPeriodNs, u64: that of the budgets. kTaskServer, u32: N of the server that its
/// thread runs in; absent: best effort.
inline constexpr char kRequests[] = "requests";
inline constexpr char kRequestsPerOwner[] = "requests-per-owner";
inline constexpr char kQueue[] = "queue";
inline constexpr char kInFlight[] = "in-flight";
inline constexpr char kStreamChunks[] = "stream-chunks";
inline constexpr char kPromptBytes[] = "prompt-bytes";
inline constexpr char kStepTokens[] = "step-tokens";
inline constexpr char kSessions[] = "sessions";
inline constexpr char kSessionBytes[] = "session-bytes";  ///< u64
inline constexpr char kHoldPeriods[] = "hold-periods";
inline constexpr char kTokensPerPeriod[] = "tokens-per-period";  ///< u64; 0: any number
inline constexpr char kCyclesPerPeriod[] = "cycles-per-period";  ///< u64; 0: any number
inline constexpr std::uint32_t kMaxRequests = 256;
inline constexpr std::uint32_t kMinStreamChunks = 32;
inline constexpr std::uint32_t kMaxStreamChunks = 4096;
inline constexpr std::uint32_t kMaxPromptBytes = 256 * 1024;
inline constexpr std::uint32_t kMaxStepTokens = 512;
inline constexpr std::uint32_t kMaxSessions = 64;
inline constexpr std::uint64_t kMaxSessionBytes = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kMinLlmPeriodNs = 1'000'000;
inline constexpr std::uint64_t kMaxLlmPeriodNs = 1'000'000'000'000;
inline constexpr std::uint32_t kMaxHoldPeriods = 64;
inline constexpr std::uint64_t kMaxTokensPerPeriod = std::uint64_t{1} << 48;
inline constexpr std::uint64_t kMaxCyclesPerPeriod = std::uint64_t{1} << 62;

/// In /llm: a node "class@N" for each class of clients, class 0 being that of all who are in no other. kItemName, to
/// kMaxClassName bytes; kTokensPerPeriod, kInFlight: its own limits, 0 or absent: none.
inline constexpr char kClassNode[] = "class@";
/// Strings one after the other, each ended by a NUL: "shell", "control", "graphs", "tasks", "token:NAME".
inline constexpr char kMembers[] = "members";
inline constexpr std::size_t kMaxClasses = 8;
inline constexpr std::size_t kMaxClassName = 16;
inline constexpr std::size_t kMaxMembers = 8;       ///< of a class
inline constexpr std::size_t kMaxMemberBytes = 40;  ///< of each, without its NUL
inline constexpr const char* kMemberKinds[] = {"shell", "control", "graphs", "tasks"};
inline constexpr char kTokenMember[] = "token:";
inline constexpr std::size_t kMaxMemberToken = 32;

/// /observe: what is recorded from the start on (docs/observation.md).
inline constexpr char kObserveNode[] = "observe";
inline constexpr char kMetricsNs[] = "metrics-ns";      ///< u64: between samples; absent: none are taken
inline constexpr char kTraceEvents[] = "trace-events";  ///< u32, a power of two: of each CPU's ring; absent: no trace
inline constexpr char kTraceGroups[] = "trace-groups";  ///< u32, beside it: mask of abi::trace::Group
inline constexpr std::uint64_t kMinMetricsNs = 10'000'000;
inline constexpr std::uint64_t kMaxMetricsNs = 3'600'000'000'000;

/// /autorun: what the kernel's shell runs before anything comes from outside.
inline constexpr char kAutorunNode[] = "autorun";
/// Shell lines one after the other, each ended by a NUL.
inline constexpr char kLines[] = "lines";
inline constexpr std::size_t kMaxLines = 64;
inline constexpr std::size_t kMaxLineBytes = 1024;   ///< without the NUL
inline constexpr std::size_t kMaxLinesBytes = 8192;  ///< of all, with their NULs

/// vsock ports of the test services (RFC 862, RFC 863, RFC 864).
inline constexpr std::uint32_t kEchoPort = 7;
inline constexpr std::uint32_t kDiscardPort = 9;
inline constexpr std::uint32_t kChargenPort = 19;

}  // namespace abi::boot_config
