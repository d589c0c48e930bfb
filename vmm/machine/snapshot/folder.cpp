#include "vmm/machine/snapshot/folder.hpp"

#include <sys/stat.h>

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

Result<> NewFolder::commit() {
  std::error_code error;
  fs::rename(partial(), path_, error);
  if (error) return fail(cannot(path_) + ": " + error.message());
  path_.clear();
  return {};
}

}  // namespace vmm::snapshot
