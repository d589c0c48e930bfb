// Records that the guest writes to its console for the monitor, between lines for people.
//
// A record is a line that starts with kRecordMark, a control byte that the guest never prints otherwise (what users
// typed is escaped first), so no text that a user makes the guest print can pass for one:
//
//   \x1e SIS-EXIT kind=<kind> code=<decimal> \n
//
// It is the last thing written before PSCI SYSTEM_OFF or SYSTEM_RESET, which carry no status of their own.
#pragma once

namespace abi::console {

inline constexpr char kRecordMark = '\x1e';
inline constexpr char kExitRecord[] = "SIS-EXIT";

/// Values of kind=.
inline constexpr char kKindShutdown[] = "shutdown";       ///< code: what the shutdown request gave, 0 to 255
inline constexpr char kKindReboot[] = "reboot";           ///< code 0
inline constexpr char kKindPanic[] = "panic";             ///< code 4
inline constexpr char kKindBootConfig[] = "boot-config";  ///< code 5: the boot configuration was refused

/// First and last line of a panic report, and the first words of the line that names a refused boot configuration.
inline constexpr char kPanicBegin[] = "==== KERNEL PANIC ====";
inline constexpr char kPanicEnd[] = "==== END OF PANIC ====";
inline constexpr char kBootConfigError[] = "BOOT CONFIG ERROR: ";

/// Prefix of metric lines: "METRIC name=value", value a decimal integer, name [a-z0-9_]+.
inline constexpr char kMetricPrefix[] = "METRIC ";

/// The metric that dates readiness: nanoseconds of the virtual counter from reset until the control server listens.
inline constexpr char kMetricBootToControl[] = "boot_to_control_ready_ns";

}  // namespace abi::console
