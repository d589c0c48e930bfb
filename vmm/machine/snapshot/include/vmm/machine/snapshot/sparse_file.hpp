// Guest memory in files whose holes are its zeros.
#pragma once

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/memory/guest_memory.hpp"

namespace vmm::snapshot {

/// Writes `memory` into `to`, an empty file, which gets the same size.
/// @param backing the memory's own file, whose holes are not even looked at; none: all of it is read
Result<> write_sparse(GuestSlice memory, const UniqueFd& backing, const UniqueFd& to);

/// Reads what a file holds outside of its holes. `memory` is zeroed and as large as the file.
Result<> read_sparse(const UniqueFd& file, GuestSlice memory);

}  // namespace vmm::snapshot
