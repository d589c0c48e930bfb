// Errors of the monitor and the tools: values, not exceptions.
#pragma once

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <utility>

#include "abi/exit_code.hpp"

namespace vmm {

/// What went wrong, as a sentence for the user, and the exit code it leads to if nobody handles it.
/// The sentence names what was given, what was expected, and what to do.
struct Error {
  std::string message;
  abi::ExitCode exit_code = abi::ExitCode::Internal;

  /// Puts what was being done in front: "cannot start QEMU: " + message.
  [[gnu::cold]] Error&& because_of(std::string_view doing) && {
    message = std::string(doing) + ": " + message;
    return std::move(*this);
  }
};

template <typename T = void>
using Result = std::expected<T, Error>;

// Cold: compilers then put what leads to an error, mostly text to be joined, apart from what is executed at each start.

/// An error to return from a function with a Result.
[[gnu::cold]] inline std::unexpected<Error> fail(std::string message, abi::ExitCode code = abi::ExitCode::Internal) {
  return std::unexpected(Error{std::move(message), code});
}

/// An error from errno: "what: No such file or directory".
[[gnu::cold]] inline std::unexpected<Error> fail_errno(std::string_view what, int error = errno,
                                                       abi::ExitCode code = abi::ExitCode::Internal) {
  return fail(std::string(what) + ": " + std::strerror(error), code);
}

}  // namespace vmm
