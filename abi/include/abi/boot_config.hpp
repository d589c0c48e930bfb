// The boot configuration: a newc cpio archive as initrd, with the scenario as a flattened device tree
// (docs/boot-config.md). Names only; the monitor writes them and the guest reads them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace abi::boot_config {

/// File in the archive that holds the tree.
inline constexpr char kScenarioFile[] = "scenario.dtb";

/// Limits that both sides hold to.
inline constexpr std::size_t kMaxArchiveEntries = 256;
inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxTreeBytes = std::size_t{1024} * 1024;

/// Root node.
inline constexpr char kCompatible[] = "sis,scenario-v1";   ///< value of /compatible
inline constexpr char kName[] = "sis,name";                ///< string: the scenario's name
inline constexpr char kUnixTimeNs[] = "sis,unix-time-ns";  ///< u64: wall clock of the host when it wrote the tree

/// /boot
inline constexpr char kBootNode[] = "boot";
inline constexpr char kVerbosity[] = "verbosity";  ///< string: "quiet", "info" or "debug"

/// /control
inline constexpr char kControlNode[] = "control";
inline constexpr char kControlKey[] = "key";                     ///< abi::control::kKeyBytes bytes
inline constexpr char kControlTestServices[] = "test-services";  ///< empty property: echo, discard, chargen listen

/// vsock ports of the test services (RFC 862, RFC 863, RFC 864).
inline constexpr std::uint32_t kEchoPort = 7;
inline constexpr std::uint32_t kDiscardPort = 9;
inline constexpr std::uint32_t kChargenPort = 19;

}  // namespace abi::boot_config
