// Machines of this user, by name: which run, and where their files are.
//
// Every machine has a run directory. A folder of links, one a machine, leads from its name to that directory from
// wherever a command is typed:
//
//   $XDG_RUNTIME_DIR/sis/machines/NAME -> /home/me/work/runs/NAME       (/tmp/sis-UID/machines/... without it)
//
// The monitor holds a lock (flock) on the file `lock` in the run directory for as long as it lives, so a machine whose
// monitor was killed is recognised by the lock being free, however the process ids have been reused since.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "abi/control.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::machine {

/// Names of the files in a run directory.
namespace file {
inline constexpr char kLock[] = "lock";
inline constexpr char kVsockSocket[] = "vsock.sock";
inline constexpr char kConsoleSocket[] = "console.sock";
inline constexpr char kMonitorSocket[] = "monitor.sock";
inline constexpr char kControlKey[] = "control.key";
inline constexpr char kConsoleLog[] = "console.log";
inline constexpr char kScenario[] = "scenario.yaml";
inline constexpr char kBootArchive[] = "boot.cpio";
inline constexpr char kSummary[] = "summary.json";
inline constexpr char kJunit[] = "junit.xml";
inline constexpr char kPanic[] = "panic.txt";
inline constexpr char kBackendLog[] = "backend.log";
inline constexpr char kAudit[] = "audit.jsonl";
inline constexpr char kReport[] = "report.html";
inline constexpr char kMetrics[] = "metrics.json";
inline constexpr char kTrace[] = "trace.json";
}  // namespace file

/// A machine that has been registered.
struct MachineEntry {
  std::string name;
  std::filesystem::path run_dir;  ///< absolute
  bool alive = false;             ///< its monitor runs
  pid_t pid = 0;                  ///< of the monitor; 0 when not alive

  [[nodiscard]] std::filesystem::path path_of(const char* name_in_run_dir) const { return run_dir / name_in_run_dir; }
};

/// The names that a machine may have: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or a digit.
bool is_machine_name(std::string_view name);

/// The folder that holds the links; made (mode 0700) when missing. An error if it belongs to somebody else.
Result<std::filesystem::path> machines_folder();

/// The machine of that name. It may be dead (`alive` false). The error, when there is none, names those that run.
Result<MachineEntry> find_machine(std::string_view name);

/// All registered machines, by name; dead ones too.
Result<std::vector<MachineEntry>> list_machines();

/// Removes the entry of a dead machine; its run directory stays. A machine that lives is left alone.
Result<> forget_dead_machine(std::string_view name);

/// The key under which the machine's control tokens are made, from the file control.key of its run directory.
Result<std::array<std::uint8_t, abi::control::kKeyBytes>> read_control_key(const std::filesystem::path& key_file);

/// Owns a run directory and the entry of the machine in it, for the lifetime of the monitor.
class RunDirectory {
 public:
  /// Makes `path` where missing (mode 0700 for what is made), takes its lock, removes the files of an earlier run,
  /// and registers `name`. Errors: the directory or the name is in use by a machine that lives (ExitCode::Usage; says
  /// which), no permission.
  static Result<RunDirectory> open(const std::filesystem::path& path, const std::string& name);

  RunDirectory(RunDirectory&& other) noexcept;
  RunDirectory& operator=(RunDirectory&&) = delete;
  /// Removes the entry and the sockets; the other files stay for the user. The lock goes with the descriptor.
  ~RunDirectory();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::filesystem::path path_of(const char* name_in_run_dir) const { return path_ / name_in_run_dir; }

 private:
  RunDirectory(std::filesystem::path path, std::string name, UniqueFd lock);

  std::filesystem::path path_;
  std::string name_;
  UniqueFd lock_;
};

}  // namespace vmm::machine
