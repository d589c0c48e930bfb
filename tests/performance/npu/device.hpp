// The device's own path without its queues: the engine's thread takes a job, cuts each command into slices, and shares
// those with a helper where it pays (vmm/devices/npu/engine.hpp).
#pragma once

#include <cstdint>
#include <memory>

#include "npu/kernels/kernels.hpp"
#include "npu/stream/checked_command.hpp"
#include "vmm/devices/npu/clock.hpp"
#include "vmm/devices/npu/counters.hpp"
#include "vmm/devices/npu/engine.hpp"
#include "vmm/devices/npu/packed_weights.hpp"

namespace npu_bench {

class Device {
 public:
  /// @param kernels outlive the device
  /// @param threads that compute, from 1
  Device(const npu::KernelSet& kernels, unsigned threads);

  /// Runs a job that is `command` so many times. Weights do not change as long as the device is there, so they are
  /// packed at the first call, as those of a region with kImmutable are.
  /// @return nanoseconds from the start of the first until the end of the last
  std::uint64_t run(npu::Checked command, std::uint64_t times);

  /// Of one job.
  static constexpr std::uint64_t kMostCommands = 4096;

 private:
  std::shared_ptr<const vmm::npu::PackedWeights> weights_of(const npu::Checked& command);

  const npu::KernelSet& kernels_;
  vmm::npu::PackedStore packed_;
  vmm::npu::HostClock clock_;
  vmm::npu::Counters counters_;
  std::unique_ptr<vmm::npu::Engine> engine_;
};

}  // namespace npu_bench
