// The folder of a snapshot while it is being written.
#pragma once

#include <filesystem>

#include "vmm/base/result.hpp"
#include "vmm/machine/backend.hpp"

namespace vmm::snapshot {

/// A folder that gets its name when it is complete: a snapshot is there as a whole or not at all.
class NewFolder {
 public:
  /// Makes `path` + ".partial", mode 0700. Errors (ExitCode::Usage): `path` is there and not an empty folder, the other
  /// name is taken, no permission.
  static Result<NewFolder> create(const std::filesystem::path& path);
  NewFolder(NewFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  NewFolder& operator=(NewFolder&&) = delete;
  /// Removes what commit() has not kept.
  ~NewFolder();

  /// Where to write the files.
  [[nodiscard]] std::filesystem::path partial() const;
  /// Those that a back end fills, new ones of mode 0600.
  [[nodiscard]] Result<machine::SnapshotFiles> create_files() const;
  /// Gives it its name; an initrd that stayed empty is no part of it. Nothing is kept on error.
  Result<> commit();

 private:
  explicit NewFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;  ///< empty after commit()
};

}  // namespace vmm::snapshot
