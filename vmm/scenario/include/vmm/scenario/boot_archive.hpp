// The boot configuration that a scenario becomes: a newc cpio archive with scenario.dtb (docs/boot-config.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "abi/boot_config.hpp"
#include "abi/control.hpp"
#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

using ControlKey = std::array<std::uint8_t, abi::control::kKeyBytes>;
using ControlSeed = std::array<std::uint8_t, abi::boot_config::kSeedBytes>;

/// Values of a run that are not in the scenario's file.
struct RunValues {
  ControlKey control_key;
  std::uint64_t unix_time_ns = 0;
  std::optional<ControlSeed> control_seed =
      std::nullopt;  ///< of what is secret in the guest; absent: it makes no secrets
};

/// The scenario as a flattened device tree (binding: abi/boot_config.hpp).
Result<std::vector<std::byte>> make_tree(const Scenario& scenario, const RunValues& run);

/// The whole initrd: the tree and the files that the scenario names.
Result<std::vector<std::byte>> make_archive(const Scenario& scenario, const RunValues& run);

}  // namespace vmm::scenario
