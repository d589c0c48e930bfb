#include "vmm/machine/snapshot/folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "vmm/machine/snapshot/state.hpp"

namespace vmm::snapshot {
namespace {

namespace fs = std::filesystem;

std::string cannot(const fs::path& path) { return "cannot write a snapshot to " + path.string(); }

}  // namespace

Result<NewFolder> NewFolder::create(const fs::path& path) {
  using abi::ExitCode;
  if (path.empty() || !path.has_filename()) {
    return fail(cannot(path) + ": the name of a folder is expected, without a slash at its end", ExitCode::Usage);
  }
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  const bool empty_folder = fs::is_directory(status) && fs::is_empty(path, error);
  if (fs::exists(status) && !empty_folder) {
    return fail(cannot(path) + ": it is there already; a new name or an empty folder is expected", ExitCode::Usage);
  }
  NewFolder folder(path);
  if (::mkdir(folder.partial().c_str(), 0700) != 0) {
    const int reason = errno;
    const std::string partial = folder.partial();
    folder.path_.clear();
    if (reason != EEXIST) return fail_errno(cannot(path), reason, ExitCode::Usage);
    return fail(cannot(path) + ": " + partial +
                    " is there; another snapshot is being written, or one was cut off: " + "then remove it",
                ExitCode::Usage);
  }
  return folder;
}

NewFolder::~NewFolder() {
  if (path_.empty()) return;
  std::error_code ignored;  // what cannot be removed stays under its telling name
  fs::remove_all(partial(), ignored);
}

fs::path NewFolder::partial() const {
  fs::path partial = path_;
  return partial += ".partial";
}

Result<machine::SnapshotFiles> NewFolder::create_files() const {
  machine::SnapshotFiles files;
  const struct {
    const char* name;
    UniqueFd& file;
  } wanted[] = {{file::kMachine, files.machine},
                {file::kMemory, files.memory},
                {file::kKernel, files.kernel},
                {file::kInitrd, files.initrd}};
  for (const auto& [name, file] : wanted) {
    const fs::path path = partial() / name;
    file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) return fail_errno("cannot create " + path.string());
  }
  return files;
}

Result<> NewFolder::commit() {
  std::error_code error;
  const fs::path initrd = partial() / file::kInitrd;
  if (fs::file_size(initrd, error) == 0 && !error) fs::remove(initrd, error);
  fs::rename(partial(), path_, error);
  if (error) return fail(cannot(path_) + ": " + error.message());
  path_.clear();
  return {};
}

}  // namespace vmm::snapshot
