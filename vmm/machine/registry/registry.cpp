#include "vmm/machine/registry.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <system_error>

#include "vmm/base/file.hpp"

namespace vmm::machine {
namespace {

namespace fs = std::filesystem;

// Locks of the open file description where there are such: unlike those of the process they are not lost when some
// other descriptor of the file is closed, and they exclude a second holder in the same process. Testing one, unlike
// with flock(), takes nothing, so a command that looks never gets in the way of a monitor that starts.
#ifdef F_OFD_SETLK
constexpr int kSetLock = F_OFD_SETLK;
constexpr int kSetLockWait = F_OFD_SETLKW;
constexpr int kGetLock = F_OFD_GETLK;
#else
constexpr int kSetLock = F_SETLK;
constexpr int kSetLockWait = F_SETLKW;
constexpr int kGetLock = F_GETLK;
#endif

constexpr std::string_view kLockFileMark = "sisvmm ";
constexpr std::size_t kMaxLockFileBytes = 64;

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// The lock file's text, if `run_dir` has one of ours.
std::optional<std::string> lock_file_text(const fs::path& run_dir) {
  auto text = read_file(run_dir / file::kLock, kMaxLockFileBytes);
  if (!text || !text->starts_with(kLockFileMark)) return std::nullopt;
  return std::move(*text);
}

bool is_locked(const fs::path& lock_file) {
  // A write lock can be tested for only through a descriptor that could take it.
  const UniqueFd fd(::open(lock_file.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return false;
  struct flock lock = whole_file(F_WRLCK);
  return ::fcntl(fd.get(), kGetLock, &lock) == 0 && lock.l_type != F_UNLCK;
}

pid_t pid_in(std::string_view lock_text) {
  lock_text.remove_prefix(kLockFileMark.size());
  pid_t pid = 0;
  const auto parsed = std::from_chars(lock_text.data(), lock_text.data() + lock_text.size(), pid);
  return parsed.ec == std::errc() && pid > 0 ? pid : 0;
}

/// What the link `name` leads to. Nothing when there is no such link.
std::optional<MachineEntry> read_entry(const fs::path& folder, std::string_view name) {
  std::error_code error;
  const fs::path target = fs::read_symlink(folder / name, error);
  if (error || !target.is_absolute()) return std::nullopt;
  MachineEntry entry{.name = std::string(name), .run_dir = target};
  const auto text = lock_file_text(target);
  entry.alive = text && is_locked(target / file::kLock);
  if (entry.alive) entry.pid = pid_in(*text);
  return entry;
}

/// Excludes other monitors that come and go while one changes the folder of links.
Result<UniqueFd> lock_folder(const fs::path& folder) {
  UniqueFd fd(::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail_errno("cannot lock " + folder.string());
  struct flock lock = whole_file(F_WRLCK);
  while (::fcntl(fd.get(), kSetLockWait, &lock) != 0) {
    if (errno != EINTR) return fail_errno("cannot lock " + folder.string());
  }
  return fd;
}

fs::path runtime_base() {
  // Only this user's folder will do: under `sudo` the variable may still name that of the user before.
  if (const char* given = std::getenv("XDG_RUNTIME_DIR"); given != nullptr && given[0] == '/') {
    struct stat status{};
    if (::stat(given, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid()) {
      return fs::path(given) / "sis";
    }
  }
  return "/tmp/sis-" + std::to_string(::geteuid());
}

/// Makes the folders above `path`, and `path` itself closed to other users.
Result<> make_run_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return fail("cannot create " + path.parent_path().string() + ": " + error.message());
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return fail_errno("cannot create " + path.string());
  if (!fs::is_directory(path, error)) {
    return fail("cannot use " + path.string() + " as run directory: it is not a directory", abi::ExitCode::Usage);
  }
  // What an earlier run left is removed, so it must be known to be such: a folder of the user's own is not touched.
  if (!fs::is_empty(path, error) && !lock_file_text(path)) {
    return fail("cannot use " + path.string() + " as run directory: it holds files that are not of an earlier run; " +
                    "give a new or an empty directory",
                abi::ExitCode::Usage);
  }
  return {};
}

/// Takes the lock of a run directory and writes the process id into its file.
Result<UniqueFd> take_lock(const fs::path& path) {
  const fs::path lock_file = path / file::kLock;
  UniqueFd fd(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return fail_errno("cannot create " + lock_file.string());
  struct flock lock = whole_file(F_WRLCK);
  if (::fcntl(fd.get(), kSetLock, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES) return fail_errno("cannot lock " + lock_file.string());
    return fail("the run directory " + path.string() + " is in use by a machine that runs; stop it or give --run-dir",
                abi::ExitCode::Usage);
  }
  const std::string text = std::string(kLockFileMark) + std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail_errno("cannot write " + lock_file.string());
  }
  return fd;
}

void remove_sockets(const fs::path& path) {
  for (const char* name : {file::kVsockSocket, file::kConsoleSocket, file::kMonitorSocket}) {
    ::unlink((path / name).c_str());
  }
}

void remove_leftovers(const fs::path& path) {
  remove_sockets(path);
  for (const char* name :
       {file::kControlKey, file::kConsoleLog, file::kScenario, file::kBootArchive, file::kSummary, file::kJunit,
        file::kPanic, file::kBackendLog, file::kAudit, file::kMetrics, file::kTrace, file::kReport}) {
    ::unlink((path / name).c_str());
  }
}

/// Puts the link in place, unless a machine of that name lives.
Result<> register_machine(const std::string& name, const fs::path& run_dir) {
  auto folder = machines_folder();
  if (!folder) return std::unexpected(folder.error());
  auto lock = lock_folder(*folder);
  if (!lock) return std::unexpected(lock.error());
  const auto present = read_entry(*folder, name);
  if (present && present->alive && present->run_dir != run_dir) {
    return fail("a machine named '" + name + "' runs already, in " + present->run_dir.string() + " (process " +
                    std::to_string(present->pid) + "); give --name, or `sisvmm stop " + name + "`",
                abi::ExitCode::Usage);
  }
  const fs::path link = *folder / name;
  if (::unlink(link.c_str()) != 0 && errno != ENOENT) return fail_errno("cannot replace " + link.string());
  if (::symlink(run_dir.c_str(), link.c_str()) != 0) return fail_errno("cannot create " + link.string());
  return {};
}

std::string names_that_run(const std::vector<MachineEntry>& machines) {
  std::string names;
  for (const auto& machine : machines) {
    if (machine.alive) names += (names.empty() ? "" : ", ") + machine.name;
  }
  return names.empty() ? "no machine runs" : "these run: " + names;
}

}  // namespace

bool is_machine_name(std::string_view name) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || name.size() > 64 || !alphanumeric(name.front())) return false;
  return std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Result<fs::path> machines_folder() {
  const fs::path base = runtime_base();
  if (auto made = make_private_folder(base); !made) return std::unexpected(made.error());
  fs::path folder = base / "machines";
  if (auto made = make_private_folder(folder); !made) return std::unexpected(made.error());
  return folder;
}

Result<MachineEntry> find_machine(std::string_view name) {
  if (!is_machine_name(name)) {
    return fail("'" + std::string(name) +
                    "' is not a machine's name: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or a digit",
                abi::ExitCode::Usage);
  }
  auto folder = machines_folder();
  if (!folder) return std::unexpected(folder.error());
  if (auto entry = read_entry(*folder, name)) return std::move(*entry);
  const auto machines = list_machines();
  return fail("no machine named '" + std::string(name) + "'; " + (machines ? names_that_run(*machines) : ""),
              abi::ExitCode::Usage);
}

Result<std::vector<MachineEntry>> list_machines() {
  auto folder = machines_folder();
  if (!folder) return std::unexpected(folder.error());
  std::vector<MachineEntry> machines;
  std::error_code error;
  for (fs::directory_iterator it(*folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!is_machine_name(name)) continue;
    if (auto entry = read_entry(*folder, name)) machines.push_back(std::move(*entry));
  }
  if (error) return fail("cannot read " + folder->string() + ": " + error.message());
  std::ranges::sort(machines, {}, &MachineEntry::name);
  return machines;
}

Result<> forget_dead_machine(std::string_view name) {
  auto folder = machines_folder();
  if (!folder) return std::unexpected(folder.error());
  auto lock = lock_folder(*folder);
  if (!lock) return std::unexpected(lock.error());
  const auto entry = read_entry(*folder, name);
  if (!entry || entry->alive) return {};
  const fs::path link = *folder / name;
  if (::unlink(link.c_str()) != 0 && errno != ENOENT) return fail_errno("cannot remove " + link.string());
  return {};
}

Result<std::array<std::uint8_t, abi::control::kKeyBytes>> read_control_key(const fs::path& key_file) {
  const auto text = read_file(key_file, abi::control::kKeyBytes);
  if (!text) return std::unexpected(text.error());
  if (text->size() != abi::control::kKeyBytes) {
    return fail("cannot use the key in " + key_file.string() + ": it has " + std::to_string(text->size()) +
                " bytes, a key has " + std::to_string(abi::control::kKeyBytes));
  }
  std::array<std::uint8_t, abi::control::kKeyBytes> key{};
  std::ranges::transform(*text, key.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  return key;
}

Result<RunDirectory> RunDirectory::open(const fs::path& path, const std::string& name) {
  if (!is_machine_name(name)) {
    return fail("'" + name +
                    "' cannot name a machine: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or a digit; give --name",
                abi::ExitCode::Usage);
  }
  std::error_code error;
  fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) return fail("cannot find out where " + path.string() + " is: " + error.message());
  if (absolute.filename().empty()) absolute = absolute.parent_path();
  if (auto made = make_run_folder(absolute); !made) return std::unexpected(made.error());
  // One directory has one name, however it was reached: what commands compare and print.
  absolute = fs::canonical(absolute, error);
  if (error) return fail("cannot find out where " + path.string() + " is: " + error.message());
  auto lock = take_lock(absolute);
  if (!lock) return std::unexpected(lock.error());
  if (auto registered = register_machine(name, absolute); !registered) return std::unexpected(registered.error());
  remove_leftovers(absolute);
  return RunDirectory(std::move(absolute), name, std::move(*lock));
}

RunDirectory::RunDirectory(fs::path path, std::string name, UniqueFd lock)
    : path_(std::move(path)), name_(std::move(name)), lock_(std::move(lock)) {}

RunDirectory::RunDirectory(RunDirectory&& other) noexcept
    : path_(std::move(other.path_)), name_(std::move(other.name_)), lock_(std::move(other.lock_)) {}

RunDirectory::~RunDirectory() {
  if (!lock_.valid()) return;
  remove_sockets(path_);
  const auto folder = machines_folder();
  if (!folder) return;
  const auto lock = lock_folder(*folder);
  std::error_code error;
  // Someone may have registered the name for another directory since: only our own link goes.
  if (lock && fs::read_symlink(*folder / name_, error) == path_) fs::remove(*folder / name_, error);
}

}  // namespace vmm::machine
