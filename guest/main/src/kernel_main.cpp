// The kernel's main function: brings the machine up part by part, then is the boot CPU's idle thread.
#include <bit>

#include "abi/console.hpp"
#include "abi/control.hpp"
#include "boot_audit.hpp"
#include "boot_autorun.hpp"
#include "boot_config_step.hpp"
#include "boot_console.hpp"
#include "boot_control.hpp"
#include "boot_error.hpp"
#include "boot_graphs.hpp"
#include "boot_interrupts.hpp"
#include "boot_llm.hpp"
#include "boot_memory.hpp"
#include "boot_models.hpp"
#include "boot_npu.hpp"
#include "boot_observe.hpp"
#include "boot_operators.hpp"
#include "boot_shell.hpp"
#include "boot_tasks.hpp"
#include "boot_threads.hpp"
#include "boot_virtio.hpp"
#include "boot_watchdog.hpp"
#include "guest/arch/build_info.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/psci.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/seed.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/work.hpp"
#include "rescue_console.hpp"

namespace guest {
namespace {

constinit kernel::MachineInfo machine;

/// The boot loader's random seeds folded into a word.
std::uint64_t boot_entropy() {
  std::uint64_t word = machine.kaslr_seed;
  for (std::size_t i = 0; i < machine.rng_seed.size(); ++i) {
    word = std::rotl(word, 8) ^ machine.rng_seed[i];
  }
  return word;
}

constinit sched::Ppm bound_of_each_cpu = sched::kDefaultBound;

/// What the other CPUs do.
void run_secondary() {
  start_timers_here();
  start_threads_here(bound_of_each_cpu);
  idle();
}

arch::PsciConduit conduit(kernel::PsciMethod method) {
  switch (method) {
    case kernel::PsciMethod::None:
      return arch::PsciConduit::None;
    case kernel::PsciMethod::Hvc:
      return arch::PsciConduit::Hvc;
    case kernel::PsciMethod::Smc:
      return arch::PsciConduit::Smc;
  }
  return arch::PsciConduit::None;
}

/// Reads the device tree and starts the console. An error in the tree is told on the console that it still names.
drivers::Uart* start_machine() {
  const kernel::Outcome outcome = kernel::read_machine_info(arch::dtb(), machine);
  arch::set_psci_conduit(conduit(machine.psci));
  if (!outcome && machine.console.kind == kernel::ConsoleKind::None) {
    machine.console = find_rescue_console(arch::dtb());
  }
  drivers::Uart* const console = start_console(machine.console);
  if (!outcome) {
    refuse_boot(outcome.error());
  }
  return console;
}

void log_machine() {
  if (machine.console.stdout_not_found) {
    kernel::log_error("stdout-path names no UART that this kernel drives: the console is the first one, at {:#x}",
                      machine.console.registers.begin());
  }
  const arch::EarlyBoot& boot = arch::early_boot();
  kernel::log_info("SIS {}, entered at EL{}, image at {:#x}, device tree at {:#x}", arch::version(), boot.entry_el,
                   boot.image_pa, boot.dtb_pa);
  kernel::log_info("{} CPUs, {} MiB of memory, GICv{}, PSCI {:#x}", machine.cpus.size(),
                   machine.memory_bytes() / (1024 * 1024), machine.gic.version, arch::psci_version());
}

/// What the last steps of the boot need, which may come later.
struct Machine {
  control::Services* services = nullptr;
  const kernel::BootConfig* config = nullptr;
  const VirtioDevices* devices = nullptr;
  drivers::Uart* console = nullptr;
};
constinit Machine booted;

/// The control server listens before the device starts: requests that the host holds find it.
void start_control(control::Services& services, const kernel::BootConfig& config, const VirtioDevices& devices) {
  drivers::VsockDevice* const vsock = make_vsock(devices);
  if (vsock == nullptr) {
    kernel::log_info("no vsock device: the control server has no connections");
    return;
  }
  control::Server& server = start_control_server(services);
  kernel::require(vsock->streams().listen(abi::control::kPort, server), "the control server's port is taken");
  if (config.legacy_socket) {
    kernel::require(vsock->streams().listen(abi::control::kLegacyPort, server.legacy_listener()),
                    "the port of the legacy socket is taken");
  }
  drain_before_power_off(vsock->streams());
  if (!start_vsock(*vsock, config)) {
    return;
  }
  services.boot_to_control_ready_ns = arch::clock_now_ns();
  kernel::log().metric(abi::console::kMetricBootToControl, services.boot_to_control_ready_ns);
}

/// From now on the machine hears of the host and of the console's user: none of that is in what was recorded.
void open_after_autorun() {
  freeze_observation(booted.config->observe);
  start_control(*booted.services, *booted.config, *booted.devices);
  start_shell(*booted.services, machine.console, booted.console, boot_shell_line());
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  const bool clock_runs = arch::init_clock(0);
  drivers::Uart* const console = start_machine();
  arch::seed_stack_guard(boot_entropy());  // kernel_main() never returns
  if (!clock_runs) {
    refuse_boot(kernel::fail("machine-bad-timer", "CNTFRQ_EL0 is {} Hz: expected 1 MHz to 4 GHz",
                             arch::sysreg::CntfrqEl0::read())
                    .error());
  }
  start_memory(machine);
  start_interrupts(machine);
  if (console != nullptr) {
    console->register_counters(kernel::counters());
  }
  const kernel::BootConfig& config = read_configuration(machine);
  log_machine();
  arch::start_ipis();
  bound_of_each_cpu = config.bound_ppm;
  start_threads_here(bound_of_each_cpu);
  start_work_thread();
  arch::start_secondary_cpus(machine, run_secondary);
  start_trace(config.observe, arch::cpu_count());
  const VirtioDevices& devices = find_virtio(machine);
  start_npu(devices);
  start_operators();
  declare_tasks(config);
  llm::package::Trust& trust = start_models(config.llm);
  const AuditParts audit = start_audit();
  control::Llm* const llm = start_llm(config, trust, audit.of_llm);
  give_llm_to_tasks(llm);
  build_graphs();
  control::Services& services = start_services(machine, config, trust, audit.log, llm);
  start_history(config.observe, services);
  const bool by_itself = !config.autorun.view().empty();
  if (!by_itself) {
    start_control(services, config, devices);
  }
  kernel::log().metric("clock_resolution_ns", arch::virtual_timer().resolution_ns());
  kernel::log().metric("boot_to_shell_ns", arch::clock_now_ns());
  start_watchdog();
  start_tasks(config);
  if (!by_itself) {
    start_shell(services, machine.console, console, boot_shell_line());
  }
  run_graphs();
  if (by_itself) {
    booted = {.services = &services, .config = &config, .devices = &devices, .console = console};
    start_autorun(services, config.autorun.view(), open_after_autorun);
  }
  // Not earlier: what the host does meanwhile would be part of the times above.
  idle();
}

}  // namespace guest
