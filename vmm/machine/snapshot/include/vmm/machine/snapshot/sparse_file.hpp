// Guest memory in files whose holes are its zeros.
#pragma once

#include <filesystem>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/memory/guest_memory.hpp"

namespace vmm::snapshot {

/// Writes `memory` into a new file of mode 0600 and the same size.
/// @param backing the memory's own file, whose holes are not even looked at; none: all of it is read
Result<> write_sparse(GuestSlice memory, const UniqueFd& backing, const std::filesystem::path& path);

/// Reads what a file holds outside of its holes. `memory` is zeroed and as large as the file.
Result<> read_sparse(const UniqueFd& file, GuestSlice memory);

}  // namespace vmm::snapshot
