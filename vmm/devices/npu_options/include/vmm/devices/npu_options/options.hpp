// What the user of a machine chooses of its NPU (docs/scenario.md, npu).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/result.hpp"

namespace vmm::npu {

/// When jobs end.
enum class Timing : std::uint8_t {
  Host,      ///< when their work is done; a job may ask for the other (abi::npu::job_flag)
  Modelled,  ///< no sooner than the modelled device would take
};

/// Something that goes wrong on purpose, once.
struct Fault {
  enum class Kind : std::uint8_t {
    DropInterrupt,  ///< the number-th interrupt of the job queue is not raised
    DelayJob,       ///< the last command of job `number` takes `delay` longer
    FailCommand,    ///< command `command` of job `number` fails: Status::Injected
  };
  Kind kind = Kind::DropInterrupt;
  unsigned number = 1;                                 ///< counted from 1 since the device was made
  std::optional<std::chrono::nanoseconds> delay = {};  ///< of DelayJob, and only of that; at most kMaxDelay
  std::optional<unsigned> command = {};                ///< of FailCommand, and only of that; from 0
  bool operator==(const Fault&) const = default;
};

inline constexpr unsigned kMaxThreads = 16;
inline constexpr std::size_t kMaxFaults = 64;
inline constexpr std::chrono::seconds kMaxDelay{60};

struct Options {
  unsigned threads = 1;  ///< that compute, 1 to kMaxThreads
  Timing timing = Timing::Host;
  std::vector<Fault> faults;  ///< at most kMaxFaults
  bool operator==(const Options&) const = default;
};

/// As sisvmm-kvm's command line and snapshots have them: "threads=2,timing=modelled,drop-interrupt=3,
/// delay-job=2:5000000ns,fail-command=1:4".
std::string to_text(const Options& options);

/// The other way round. Errors (ExitCode::Usage) name the part and what is allowed.
Result<Options> parse_options(std::string_view text);

}  // namespace vmm::npu
