// The boot configuration: scenario.dtb of the boot archive as a plain struct (docs/boot-config.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "abi/boot_config.hpp"
#include "abi/control.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::kernel {

class Heap;

using ControlKey = std::array<std::uint8_t, abi::control::kKeyBytes>;
using ControlSeed = std::array<std::uint8_t, abi::boot_config::kSeedBytes>;

/// A server of the scheduler (docs/scheduler.md): 0 < budget <= deadline <= period <= abi::boot_config::kMaxPeriodNs.
struct ServerConfig {
  FixedText<abi::boot_config::kMaxItemName> name;
  std::uint64_t budget_ns = 0;
  std::uint64_t period_ns = 0;
  std::uint64_t deadline_ns = 0;
  std::optional<std::uint32_t> cpu;  ///< absent: the first that it fits on
  bool soft = false;
  bool reclaim = false;
};

struct TaskConfig {
  enum class Kind : std::uint8_t { Unknown, Periodic, Greedy, Program };

  FixedText<abi::boot_config::kMaxItemName> name;
  Kind kind = Kind::Unknown;            ///< never Unknown in what was read
  std::optional<std::uint32_t> server;  ///< index of one; absent: best effort
  std::optional<std::uint32_t> cpu;     ///< of a best-effort task; absent: the boot CPU
  // Periodic
  std::uint64_t period_ns = 0;
  std::uint64_t work_ns = 0;
  std::uint64_t offset_ns = 0;
  std::uint64_t deadline_ns = 0;
  std::uint32_t jobs = 0;  ///< 0: for ever
  // Greedy
  std::uint64_t start_ns = 0;
  std::uint64_t length_ns = 0;  ///< 0: for ever
  // Program
  FixedText<abi::boot_config::kMaxProgramName> program;      ///< name of the file in the archive
  FixedText<abi::boot_config::kMaxArgumentBytes> arguments;  ///< each ended by a NUL; at most kMaxArguments
  std::uint64_t memory_bytes = 0;                            ///< whole pages
  FixedText<abi::boot_config::kMaxModelName> llm_model;      ///< of its handle; empty: it has none
  std::uint32_t llm_max_tokens = 0;
  std::uint32_t llm_rights = 0;  ///< abi::control::Rights
};

using PackageKey = std::array<std::uint8_t, abi::boot_config::kPublicKeyBytes>;

/// A model in the archive: models/NAME.gguf.
struct ModelConfig {
  FixedText<abi::boot_config::kMaxModelName> name;
  std::uint32_t min_revision = 0;  ///< 0: any
  bool load = false;               ///< with the machine
};

/// Clients of the LLM service that share limits; 0: none of their own.
struct LlmClassConfig {
  using Member = FixedText<abi::boot_config::kMaxMemberBytes>;

  FixedText<abi::boot_config::kMaxClassName> name;
  std::uint64_t tokens_per_period = 0;
  std::uint32_t in_flight = 0;
  BoundedArray<Member, abi::boot_config::kMaxMembers> members;
};

/// Limits of the LLM service (docs/llm.md). Absent: its default.
struct LlmLimits {
  std::optional<std::uint32_t> in_flight;
  std::optional<std::uint32_t> queue;
  std::optional<std::uint32_t> requests;
  std::optional<std::uint32_t> requests_per_owner;
  std::optional<std::uint32_t> prompt_bytes;
  std::optional<std::uint32_t> stream_chunks;
  std::optional<std::uint32_t> step_tokens;
  std::optional<std::uint32_t> sessions;
  std::optional<std::uint64_t> session_bytes;
  std::optional<std::uint64_t> period_ns;
  std::optional<std::uint64_t> tokens_per_period;
  std::optional<std::uint64_t> cycles_per_period;
  std::optional<std::uint32_t> hold_periods;
};

/// Models, who is trusted to sign them (docs/models.md), and the service that runs them.
struct LlmConfig {
  bool wanted = false;                   ///< the scenario says something of models: there is a service
  std::optional<PackageKey> public_key;  ///< absent: nobody
  bool allow_unsigned = false;
  BoundedArray<ModelConfig, abi::boot_config::kMaxModels> models;
  std::optional<std::uint32_t> server;  ///< index of the one that it runs in; absent: best effort
  LlmLimits limits;
  BoundedArray<LlmClassConfig, abi::boot_config::kMaxClasses> classes;
};

/// What is recorded from the start on (docs/observation.md).
struct ObserveConfig {
  bool wanted = false;
  std::uint64_t metrics_ns = 0;    ///< between samples; 0: none are taken
  std::uint32_t trace_events = 0;  ///< of each CPU's ring, a power of two; 0: no trace
  std::uint32_t trace_groups = 0;  ///< abi::trace::GroupMask, not 0 with a trace
};

/// Single values. Defaults are those of a boot without an initrd.
struct BootValues {
  static constexpr std::size_t kMaxName = 128;

  FixedText<kMaxName> name;                 ///< the scenario's name; empty: none
  std::uint64_t unix_time_ns = 0;           ///< host's wall clock when the tree was written; 0: unknown
  std::optional<Verbosity> verbosity;       ///< absent: the boot arguments decide
  std::optional<ControlKey> control_key;    ///< secret; absent: the control server accepts nobody
  std::optional<ControlSeed> control_seed;  ///< secret; absent: the machine makes no secrets
  bool test_services = false;               ///< echo, discard and chargen listen
  bool legacy_socket = false;               ///< the control server listens for old clients, too
  std::uint32_t bound_ppm = abi::boot_config::kDefaultBoundPpm;  ///< of each CPU that servers may be promised
  bool manual_start = false;                                     ///< servers and tasks wait for `det on`
  ObserveConfig observe;
};

/// All of it. Some 80 KiB, most of them arguments of programs: not for stacks.
struct BootConfig : BootValues {
  BoundedArray<ServerConfig, abi::boot_config::kMaxServers> servers;
  BoundedArray<TaskConfig, abi::boot_config::kMaxTasks> tasks;
  LlmConfig llm;
  FixedText<abi::boot_config::kMaxLinesBytes> autorun;  ///< lines of the shell, each ended by a NUL; empty: none

  /// To the defaults. The lists keep what lies beyond their ends: to write all of them anew took most of the time of a
  /// read.
  void reset();
};
static_assert(sizeof(BootConfig) < std::size_t{80} * 1024);

/// Reads a scenario tree. Every node and property must be known and of the right form. `tree` is 8-byte aligned.
/// `out` is overwritten; on an error it holds the defaults. Errors:
///   tree-truncated, tree-misaligned, tree-too-large, tree-bad-magic, tree-bad-version, tree-bad-structure
///   tree-bad-compatible, tree-unknown-node, tree-unknown-property, tree-duplicate, tree-missing-property,
///   tree-bad-value
Outcome read_scenario_tree(std::span<const std::byte> tree, BootConfig& out);

/// Opens the archive and reads its scenario tree (copied for alignment, through `heap`, while it is read). Besides the
/// errors of Archive::open() and read_scenario_tree(): config-missing (no scenario.dtb in it), config-no-memory,
/// model-missing (the file of a model is not in it).
Outcome read_boot_config(std::span<const std::byte> bytes, Heap& heap, Archive& archive, BootConfig& out);

}  // namespace guest::kernel
