// Errors of system calls.
#pragma once

#include <cstdint>

namespace guest::process {

/// Linux, include/uapi/asm-generic/errno-base.h and errno.h, but for the last.
enum class Errno : std::uint8_t {
  None = 0,
  NotFound = 2,           ///< ENOENT
  BadFileDescriptor = 9,  ///< EBADF
  TryAgain = 11,          ///< EAGAIN
  NoMemory = 12,          ///< ENOMEM
  NoRight = 13,           ///< EACCES
  BadAddress = 14,        ///< EFAULT
  NoDevice = 19,          ///< ENODEV
  Invalid = 22,           ///< EINVAL
  NotImplemented = 38,    ///< ENOSYS
  TooLarge = 90,          ///< EMSGSIZE
  OverQuota = 122,        ///< EDQUOT
  NoCapability = 134,     ///< none of Linux's, which end with 133: the scenario gave the task no such handle
};

/// As x0 says it.
constexpr std::uint64_t error(Errno code) { return ~static_cast<std::uint64_t>(code) + 1; }
static_assert(error(Errno::BadAddress) == 0xffff'ffff'ffff'fff2);

}  // namespace guest::process
