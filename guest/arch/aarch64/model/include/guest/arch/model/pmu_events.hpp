// Which events of the performance monitors the kernel counts. Pure. Arm DDI 0487, "PMU events and event numbers".
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/pmu.hpp"

namespace guest::arch {

/// An event by its number, under its name in the manual in lower case.
struct PmuEvent {
  std::uint16_t number;
  std::string_view name;
};

using PmuEvents = kernel::BoundedArray<PmuEvent, kernel::kMaxPmuEvents>;

/// The events for the counters 0, 1 ... of a CPU with `counters` of them, what tells most first. `pmceid0` and
/// `pmceid1` are PMCEID0_EL0 and PMCEID1_EL0, the events that the CPU has.
PmuEvents choose_pmu_events(unsigned counters, std::uint64_t pmceid0, std::uint64_t pmceid1);

/// "PMUv3p4", from ID_AA64DFR0_EL1.PMUVer; "none" where there is no PMU of that architecture.
std::string_view pmu_version_name(std::uint64_t pmu_ver);

}  // namespace guest::arch
