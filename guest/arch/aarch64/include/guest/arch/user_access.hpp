// The kernel's only way to the memory of user tasks: accesses with the task's own rights (LDTR, STTR), which PAN does
// not stop. One that faults ends the copy where it faulted (user_access.S), so no page has to be looked up beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/arch/exception.hpp"

namespace guest::arch {

/// Copies from the memory of the task whose address space is in use on this CPU, in ascending order, until a byte that
/// the task may not read. Returns how many bytes were copied. Any address may be asked for: none outside of the user's
/// range is touched.
std::size_t copy_from_user(std::span<std::byte> to, std::uint64_t from);
/// The same, into memory that the task may write.
std::size_t copy_to_user(std::uint64_t to, std::span<const std::byte> from);

/// An exception of the kernel itself. True: it was an access above, and `frame` now goes on behind the fault.
bool fix_user_access(ExceptionFrame& frame);

}  // namespace guest::arch
