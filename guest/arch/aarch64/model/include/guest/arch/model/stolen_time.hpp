// Stolen time as hypervisors offer it to a CPU: Arm DEN0057, "Stolen time". Asked for by the SMC Calling Convention
// (Arm DEN0028) over the conduit of PSCI (Arm DEN0022). Pure: the calls go through a function.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace guest::arch {

/// Arm DEN0057, "Stolen time shared memory structure". Little-endian, as this kernel is.
struct StolenTimeStructure {
  std::uint32_t revision;
  std::uint32_t attributes;
  std::atomic<std::uint64_t> stolen_ns;  ///< written by the hypervisor, single-copy atomic
  std::uint8_t reserved[48];
};
static_assert(sizeof(StolenTimeStructure) == 64 && offsetof(StolenTimeStructure, stolen_ns) == 8);
static_assert(std::is_standard_layout_v<StolenTimeStructure> && std::atomic<std::uint64_t>::is_always_lock_free);

/// A fast call with one argument; what it returns in x0. Of a 32-bit function only the lower half counts.
using SmcccCall = std::uint64_t (*)(std::uint32_t function, std::uint64_t argument);

/// Whether this machine's CPUs may ask. `psci_version` as psci_version(); 0: there is nobody to call.
[[nodiscard]] bool offers_stolen_time(SmcccCall call, std::uint32_t psci_version);

/// Where the structure of the CPU that calls is. Nothing: it has none, or at an address that cannot be one.
[[nodiscard]] std::optional<std::uint64_t> stolen_time_address(SmcccCall call);

/// It is of the kind that this kernel knows.
[[nodiscard]] inline bool is_understood(const StolenTimeStructure& structure) {
  return structure.revision == 0 && structure.attributes == 0;
}

}  // namespace guest::arch
