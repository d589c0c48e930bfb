// The one place that calls ioctl(2) on KVM's descriptors.
#pragma once

#include <cstdint>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::kvm {

/// A request and its name, for messages: KVM_REQUEST(KVM_RUN).
struct Request {
  unsigned long number;
  const char* name;
};
#define KVM_REQUEST(request) \
  ::vmm::kvm::Request { request, #request }

/// Calls a request whose argument is a number, or none (0). Repeats it after EINTR: no request but KVM_RUN, which is
/// not called through here, is cut short by a signal.
/// @return what the kernel returned, not negative; else an error with the request's name and errno
Result<int> call(const UniqueFd& fd, Request request, std::uint64_t argument = 0);

/// The same for a request that reads or writes a structure of the kernel's interface.
template <typename T>
Result<int> call(const UniqueFd& fd, Request request, T* argument) {
  // reinterpret_cast: the kernel takes the address as a number.
  return call(fd, request, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(argument)));
}

/// Drops the value of a request that has none but 0.
inline Result<> done(Result<int> result) {
  if (!result) return std::unexpected(std::move(result.error()));
  return {};
}

/// A descriptor that a request returned.
inline Result<UniqueFd> descriptor(Result<int> result) {
  if (!result) return std::unexpected(std::move(result.error()));
  return UniqueFd(*result);
}

}  // namespace vmm::kvm
