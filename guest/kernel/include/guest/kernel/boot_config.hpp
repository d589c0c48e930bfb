// The boot configuration: scenario.dtb of the boot archive as a plain struct (docs/boot-config.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "abi/boot_config.hpp"
#include "abi/control.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::kernel {

class Heap;

using ControlKey = std::array<std::uint8_t, abi::control::kKeyBytes>;

/// Defaults are those of a boot without an initrd.
struct BootConfig {
  static constexpr std::size_t kMaxName = 128;

  FixedText<kMaxName> name;               ///< the scenario's name; empty: none
  std::uint64_t unix_time_ns = 0;         ///< host's wall clock when the tree was written; 0: unknown
  std::optional<Verbosity> verbosity;     ///< absent: the boot arguments decide
  std::optional<ControlKey> control_key;  ///< secret; absent: the control server accepts nobody
  bool test_services = false;             ///< echo, discard and chargen listen
};

/// Reads a scenario tree. Every node and property must be known and of the right form. `tree` is 8-byte aligned.
/// `out` is overwritten; on an error it holds the defaults. Errors:
///   tree-truncated, tree-misaligned, tree-too-large, tree-bad-magic, tree-bad-version, tree-bad-structure
///   tree-bad-compatible, tree-unknown-node, tree-unknown-property, tree-duplicate, tree-missing-property,
///   tree-bad-value
Outcome read_scenario_tree(std::span<const std::byte> tree, BootConfig& out);

/// Opens the archive and reads its scenario tree (copied for alignment, through `heap`, while it is read). Besides the
/// errors of Archive::open() and read_scenario_tree(): config-missing (no scenario.dtb in it), config-no-memory.
Outcome read_boot_config(std::span<const std::byte> bytes, Heap& heap, Archive& archive, BootConfig& out);

}  // namespace guest::kernel
