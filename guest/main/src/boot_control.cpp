#include "boot_control.hpp"

#include <optional>

#include "abi/console.hpp"
#include "boot_config_step.hpp"
#include "boot_operators.hpp"
#include "boot_watchdog.hpp"
#include "guest/arch/build_info.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/pmu.hpp"
#include "guest/arch/provoke.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/bench/machine/machine_benchmarks.hpp"
#include "guest/bench/npu/npu_benchmarks.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"

namespace guest {
namespace {

/// The host gets this long to take what was written to it before the machine goes.
constexpr std::uint64_t kDrainLimitNs = 500'000'000;

class MachinePower final : public control::Power {
 public:
  void drain_first(kernel::StreamTransport& transport) { transport_ = &transport; }
  void off(std::uint8_t code) override {
    drain();
    arch::exit_machine(abi::console::kKindShutdown, code);
  }
  void reset() override {
    drain();
    arch::exit_machine(abi::console::kKindReboot, 0);
  }

 private:
  /// The answer to the request may still lie in the queue. Spins instead of sleeping: the clock of an idle guest may
  /// jump to the next timer (icount, sleep=off), and then a time limit gives the host no time at all.
  void drain() {
    const std::uint64_t give_up_ns = arch::clock_now_ns() + kDrainLimitNs;
    while (transport_ != nullptr && !transport_->drained() && arch::clock_now_ns() < give_up_ns) {
    }
  }

  kernel::StreamTransport* transport_ = nullptr;
};

class ProvokedFaults final : public control::Faults {
 public:
  [[nodiscard]] std::string_view kinds() const override {
    if (kinds_.view().empty()) {
      for (const arch::FaultKind& kind : arch::fault_kinds()) {
        kernel::format_to(kinds_, "{}{}", kinds_.view().empty() ? "" : "|", kind.name);
      }
    }
    return kinds_.view();
  }
  void provoke(std::string_view name) override {
    for (const arch::FaultKind& kind : arch::fault_kinds()) {
      if (kind.name == name) {
        arch::provoke(kind.fault);
      }
    }
    kernel::panic_at(kernel::here(), "unknown kind of fault: {}", kernel::escaped(name));
  }

 private:
  mutable kernel::FixedText<256> kinds_;  ///< built on first use
};

class MachineCpus final : public control::Cpus {
 public:
  [[nodiscard]] std::uint32_t count() const override { return arch::cpu_count(); }
  [[nodiscard]] control::CpuReport report(std::uint32_t cpu) const override {
    const arch::CpuLocal& local = arch::cpu_locals[cpu];
    // Acquire: with Off, why_off is there.
    const bool online = local.state.load(std::memory_order_acquire) == arch::CpuState::Online;
    const threads::Dispatcher* const dispatcher = threads::find_dispatcher(cpu);
    return {.mpidr = local.mpidr,
            .online = online,
            .why_off = online ? std::string_view() : local.why_off,
            .ipis_sent = local.ipis_sent.load(std::memory_order_relaxed),
            .heartbeat = watchdog().heartbeat(cpu),
            .stolen_ns = dispatcher == nullptr ? std::nullopt : dispatcher->scheduler().stolen().total_ns()};
  }
};

class MachinePmu final : public control::Pmu {
 public:
  [[nodiscard]] std::optional<kernel::PmuReading> read(std::uint32_t cpu) const override {
    kernel::PmuReading reading;
    const bool online = arch::smp::call_and_wait(
        cpu, [](void* out) { *static_cast<kernel::PmuReading*>(out) = arch::read_pmu_here(); }, &reading);
    return online ? std::optional(reading) : std::nullopt;
  }
};

constinit MachinePower power;
constinit ProvokedFaults faults;
constinit MachineCpus cpus;
constinit MachinePmu pmu;
constinit kernel::FixedText<48> build_id;
constinit std::optional<security::Authority> authority;
constinit std::optional<control::Services> services;
constinit std::optional<control::Server> server;

}  // namespace

control::Services& start_services(const kernel::MachineInfo& info, const kernel::BootConfig& config,
                                  const llm::package::Trust& trust, security::AuditLog& audit, control::Llm* llm) {
  static const std::span<const bench::Benchmark> benchmarks[] = {
      bench::kernel_benchmarks(),  bench::scheduler_benchmarks(), bench::thread_benchmarks(),
      bench::machine_benchmarks(), bench::graph_benchmarks(),     bench::security_benchmarks(),
      bench::npu_benchmarks()};
  arch::write_build_id(build_id);
  services.emplace(control::Services{.clock = arch::virtual_timer(),
                                     .timers = kernel::timers(),
                                     .work = kernel::work_queue(),
                                     .machine = info,
                                     .pages = kernel::kernel_pages(),
                                     .heap = kernel::kernel_heap(),
                                     .interrupts = kernel::interrupts(),
                                     .counters = kernel::counters(),
                                     .log = kernel::log(),
                                     .log_lines = kept_log_lines(),
                                     .trace = kernel::trace(),
                                     .power = power,
                                     .faults = faults,
                                     .cpus = cpus,
                                     .pmu = pmu,
                                     .authority = authority.emplace(config.control_key, config.control_seed),
                                     .audit = audit,
                                     .files = boot_archive(),
                                     .trust = trust,
                                     .benchmarks = benchmarks,
                                     .llm = llm,
                                     .version = arch::version(),
                                     .build_id = build_id.view(),
                                     .scenario = config.name.view(),
                                     .timer_frequency_hz = arch::clock_frequency_hz(),
                                     .unix_time_at_boot_ns = config.unix_time_ns});
  return *services;
}

void drain_before_power_off(kernel::StreamTransport& transport) { power.drain_first(transport); }

control::Server& start_control_server(control::Services& with) { return server.emplace(with, kernel::work_queue()); }

}  // namespace guest
