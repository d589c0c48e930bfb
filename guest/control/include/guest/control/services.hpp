// What commands need of the kernel. Filled by the kernel's start-up, by a fake in tests.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/bench/benchmark.hpp"
#include "guest/control/command.hpp"
#include "guest/control/llm.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/kernel/clock.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/log_history.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/page_allocator.hpp"
#include "guest/kernel/pmu.hpp"
#include "guest/kernel/stream.hpp"
#include "guest/kernel/timer.hpp"
#include "guest/kernel/trace.hpp"
#include "guest/kernel/watchdog.hpp"
#include "guest/llm/package/verifier.hpp"
#include "guest/security/audit_log.hpp"
#include "guest/security/authority.hpp"

namespace guest::control {

/// Ends the machine. The calls do not return in the guest.
class Power {
 public:
  virtual void off(std::uint8_t code) = 0;
  virtual void reset() = 0;

 protected:
  ~Power() = default;
};

/// Provokes faults for tests of the panic path.
class Faults {
 public:
  /// Names separated by '|'.
  [[nodiscard]] virtual std::string_view kinds() const = 0;
  /// `kind` is one of kinds(). Does not return in the guest.
  virtual void provoke(std::string_view kind) = 0;

 protected:
  ~Faults() = default;
};

/// A CPU, as the `cpus` command shows it.
struct CpuReport {
  std::uint64_t mpidr = 0;
  bool online = false;
  std::string_view why_off;  ///< static storage; empty when online
  std::uint64_t ipis_sent = 0;
  kernel::Heartbeat heartbeat{};
  std::optional<std::uint64_t> stolen_ns = std::nullopt;  ///< nothing: no hypervisor tells
};

/// The machine's CPUs.
class Cpus {
 public:
  /// Those that have a number, at most kernel::kMaxCpus.
  [[nodiscard]] virtual std::uint32_t count() const = 0;
  [[nodiscard]] virtual CpuReport report(std::uint32_t cpu) const = 0;

 protected:
  ~Cpus() = default;
};

/// The performance monitors of the machine's CPUs.
class Pmu {
 public:
  /// What the CPU `cpu`, below Cpus::count(), has counted. Nothing: it is not online. Asks that CPU and waits for it;
  /// interrupts on.
  [[nodiscard]] virtual std::optional<kernel::PmuReading> read(std::uint32_t cpu) const = 0;

 protected:
  ~Pmu() = default;
};

/// The shell, as the `shell` and `history` commands need it.
class LineRunner {
 public:
  /// Runs `line` for `who` and hands {output, status} to `caller` when it is done; now or later. `line` is copied.
  virtual std::expected<Handled, Refusal> run_line(std::string_view line, const security::Principal& who,
                                                   Caller& caller, ResultMap& result) = 0;
  /// Line `index` of the console's history, oldest first; nothing beyond the end.
  [[nodiscard]] virtual std::optional<std::string_view> history(std::size_t index) const = 0;

 protected:
  ~LineRunner() = default;
};

/// A power-off or reset that was asked for, carried out once the answer has reached its reader.
struct PowerRequest {
  enum class Kind : std::uint8_t { None, Off, Reset } kind = Kind::None;
  std::uint8_t code = 0;
  /// The control server waits for its answer to be delivered and then carries the request out.
  bool scheduled = false;
};

class MetricHistory;

struct Services {
  const kernel::Clock& clock;
  kernel::TimerQueue& timers;
  kernel::WorkQueue& work;  ///< of the loop in which commands run
  const kernel::MachineInfo& machine;
  kernel::PageAllocator& pages;
  kernel::Heap& heap;
  kernel::Interrupts& interrupts;
  kernel::CounterRegistry& counters;
  kernel::Log& log;
  const kernel::LogHistory& log_lines;  ///< of the log
  kernel::Trace& trace;
  Power& power;
  Faults& faults;
  const Cpus& cpus;
  const Pmu& pmu;
  security::Authority& authority;
  security::AuditLog& audit;
  const kernel::Archive& files;  ///< of the boot archive
  const llm::package::Trust& trust;
  /// What the command `bench` runs: lists of them.
  std::span<const std::span<const bench::Benchmark>> benchmarks;
  Llm* llm = nullptr;  ///< null: the scenario says nothing of models, or there was no memory
  LineRunner* shell = nullptr;
  MetricHistory* history = nullptr;  ///< null: the scenario wants none
  kernel::StreamListener* control_server = nullptr;

  std::string_view version;
  std::string_view build_id;
  std::string_view scenario;  ///< name from the boot configuration; empty: none
  std::uint64_t timer_frequency_hz = 0;
  std::uint64_t boot_to_control_ready_ns = 0;  ///< 0: not ready yet
  std::uint64_t unix_time_at_boot_ns = 0;      ///< 0: unknown
  /// Who asks for what the handler that runs does.
  security::Principal caller{};
  PowerRequest power_request{};

  /// The wall clock; 0: unknown.
  [[nodiscard]] std::uint64_t unix_now_ns() const {
    return unix_time_at_boot_ns == 0 ? 0 : unix_time_at_boot_ns + clock.now_ns();
  }

  /// Does what power_request asks for, if anything.
  void carry_out_power_request() {
    const PowerRequest request = power_request;
    power_request = {};
    if (request.kind != PowerRequest::Kind::None) {
      audit.tell_power_off();
    }
    if (request.kind == PowerRequest::Kind::Off) {
      power.off(request.code);
    } else if (request.kind == PowerRequest::Kind::Reset) {
      power.reset();
    }
  }
};

}  // namespace guest::control
