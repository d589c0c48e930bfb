// Threads as CPUs, for tests on the host.
#pragma once

#include <cstdint>

namespace guest::kernel {

/// While it lives, cpu_index() of the calling thread is `index`. Threads that run at a time need different ones, as
/// CPUs have; without one of these a thread is CPU 0.
class HostCpu {
 public:
  explicit HostCpu(std::uint32_t index);
  ~HostCpu();
  HostCpu(const HostCpu&) = delete;
  HostCpu& operator=(const HostCpu&) = delete;

 private:
  std::uint32_t before_;
};

}  // namespace guest::kernel
