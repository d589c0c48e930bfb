// What a KVM machine counts, in memory that its process shares with the one that supervises it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "vmm/devices/npu/counters.hpp"
#include "vmm/devices/vsock/counters.hpp"

namespace vmm::kvm_protocol {

/// Zeros are counters that stand at 0. Read by any thread of either process at any time.
struct Counters {
  vsock::Counters vsock;
  npu::Counters npu;
  std::atomic<std::uint64_t> unknown_accesses = 0;  ///< accesses of the guest to addresses where nothing is
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "works between processes");
static_assert(std::is_trivially_destructible_v<Counters>);

/// Of the shared memory: one page of any host.
inline constexpr std::size_t kCountersBytes = 4096;
static_assert(sizeof(Counters) <= kCountersBytes);

}  // namespace vmm::kvm_protocol
