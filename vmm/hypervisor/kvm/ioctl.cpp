#include "ioctl.hpp"

#include <sys/ioctl.h>

#include <string>

namespace vmm::kvm {

Result<int> call(const UniqueFd& fd, Request request, std::uint64_t argument) {
  for (;;) {
    const int result = ::ioctl(fd.get(), request.number, argument);
    if (result >= 0) return result;
    if (errno != EINTR) return fail_errno(request.name);
  }
}

}  // namespace vmm::kvm
