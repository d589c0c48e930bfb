#include "vmm/cli/options.hpp"

#include <CLI/CLI.hpp>

#include "abi/exit_code.hpp"

namespace vmm::cli {
namespace {

constexpr double kMaxSeconds = 7 * 24 * 3600;

/// Name, key in a scenario, help.
using MachineOption = std::array<const char*, 3>;

/// Options of the machine; what was given on the command line goes to `overrides` when parsing is done.
/// @param given holds the texts meanwhile
void add_machine_options(CLI::App* command, const std::vector<MachineOption>& machine_options,
                         std::vector<std::string>& given, std::vector<Override>& overrides) {
  given.resize(machine_options.size());
  for (std::size_t i = 0; i < machine_options.size(); ++i) {
    const auto& [option, key, help] = machine_options[i];
    command->add_option(option, given[i], help);
  }
  command->parse_complete_callback([command, machine_options, &given, &overrides] {
    for (std::size_t i = 0; i < machine_options.size(); ++i) {
      const auto& [option, key, help] = machine_options[i];
      if (command->count(option) > 0) overrides.push_back({key, given[i], option});
    }
  });
}

std::vector<MachineOption> hardware_options() {
  return {
      {"--cpus", "machine.cpus", "Number of CPUs"},
      {"--memory", "machine.memory", "Guest memory, as 512MiB"},
      {"--gic-version", "machine.gic_version", "2 or 3"},
  };
}

void add_boot(CLI::App& app, BootOptions& options, std::vector<std::string>& given) {
  auto* boot = app.add_subcommand(
      "boot", "Boot any arm64 kernel by KVM, without a scenario; its console is the terminal, Ctrl-] leaves");
  boot->add_option("KERNEL", options.kernel, "Image, ELF or flat file")->required();
  boot->add_option("--format", options.format, "auto, image, elf, or flat: loaded as it is, 512 KiB into memory")
      ->check(CLI::IsMember({"auto", "image", "elf", "flat"}));
  boot->add_option("--initrd", options.initrd, "Initial RAM disk, or a boot archive");
  boot->add_option("--append", options.arguments, "The kernel's command line");
  boot->add_option("--vsock", options.vsock, "Add a vsock device whose socket is here");
  boot->add_option("--timeout", options.timeout_s, "Stop after so many seconds, exit code 6")
      ->check(CLI::Range(0.001, kMaxSeconds));
  add_machine_options(boot, hardware_options(), given, options.overrides);
}

void add_dumpdtb(CLI::App& app, DumpDtbOptions& options, std::vector<std::string>& given) {
  auto* dump = app.add_subcommand("dumpdtb", "Write the device tree that the KVM machine gives its guest");
  dump->add_option("-o,--output", options.output, "File (default: the standard output)");
  dump->add_option("--append", options.arguments, "The kernel's command line");
  dump->add_flag("--pmu", options.pmu, "As on a host with a PMU");
  add_machine_options(dump, hardware_options(), given, options.overrides);
}

void add_run(CLI::App& app, RunOptions& options, std::vector<std::string>& given) {
  auto* run = app.add_subcommand("run", "Run a scenario: boot the guest, send its steps, check what must hold");
  run->add_option("FILE", options.file, "The scenario")->required();
  run->add_option("--name", options.name, "Name of the machine (default: the scenario's)");
  run->add_option("--run-dir", options.run_dir, "Where its files go (default: runs/NAME here)");
  run->add_option("--kernel", options.kernel,
                  "Guest image (default: boot.kernel, $SIS_KERNEL, the one built with sisvmm)");
  run->add_option("--timeout", options.timeout_s, "Stop after so many seconds, exit code 6")
      ->check(CLI::Range(0.001, kMaxSeconds));
  run->add_flag("-i,--interactive", options.interactive, "Attach the terminal to the guest's shell; Ctrl-] leaves");
  run->add_flag("--json", options.json, "Print summary.json and nothing else")->excludes("-i");
  const std::vector<MachineOption> machine_options = {
      {"--backend", "machine.backend", "auto, qemu or kvm, instead of the scenario's machine.backend"},
      {"--accel", "machine.accel", "auto, tcg, kvm or hvf, instead of machine.accel"},
      {"--cpus", "machine.cpus", "Number of CPUs, instead of machine.cpus"},
      {"--memory", "machine.memory", "Guest memory, as 512MiB, instead of machine.memory"},
  };
  add_machine_options(run, machine_options, given, options.overrides);
}

struct Storage {
  RunOptions run;
  std::vector<std::string> run_machine;
  BootOptions boot;
  std::vector<std::string> boot_machine;
  DumpDtbOptions dumpdtb;
  std::vector<std::string> dumpdtb_machine;
  CheckOptions check;
  DoctorOptions doctor;
  ListOptions list;
  StopOptions stop;
  ConsoleOptions console;
};

void add_others(CLI::App& app, Storage& storage) {
  app.add_subcommand("check", "Validate scenarios without running them")
      ->add_option("FILE", storage.check.files, "Scenarios")
      ->required();
  app.add_subcommand("doctor", "Say which back ends this host can run, and why not the others")
      ->add_flag("--json", storage.doctor.json, "As JSON");
  app.add_subcommand("ls", "List machines")->add_flag("--json", storage.list.json, "As JSON");
  auto* stop = app.add_subcommand("stop", "Stop a machine: ask the guest to shut down, then kill it");
  stop->add_option("NAME", storage.stop.name, "The machine")->required();
  stop->add_option("--timeout", storage.stop.timeout_s, "Seconds until it is killed (default: timeouts.stop)")
      ->check(CLI::Range(0.0, kMaxSeconds));
  app.add_subcommand("console", "Attach the terminal to a machine's console; Ctrl-] leaves")
      ->add_option("NAME", storage.console.name, "The machine")
      ->required();
  app.add_subcommand("schema", "Print the JSON Schema of scenarios");
}

Command chosen(const CLI::App& app, Storage& storage) {
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "run") return std::move(storage.run);
  if (name == "boot") return std::move(storage.boot);
  if (name == "dumpdtb") return std::move(storage.dumpdtb);
  if (name == "check") return std::move(storage.check);
  if (name == "doctor") return storage.doctor;
  if (name == "ls") return storage.list;
  if (name == "stop") return std::move(storage.stop);
  if (name == "console") return std::move(storage.console);
  return SchemaOptions{};
}

}  // namespace

Parsed parse_command_line(int argc, const char* const* argv, const std::string& version) {
  CLI::App app("The SIS virtual machine monitor. Exit codes: docs/exit-codes.md", "sisvmm");
  app.set_version_flag("--version", "sisvmm " + version);
  app.require_subcommand(1);
  Storage storage;
  add_run(app, storage.run, storage.run_machine);
  add_boot(app, storage.boot, storage.boot_machine);
  add_dumpdtb(app, storage.dumpdtb, storage.dumpdtb_machine);
  add_others(app, storage);
  try {
    app.parse(argc, argv);
    return {.command = chosen(app, storage), .text = {}};
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const bool asked = app.exit(error, out, err) == 0;
    const int usage = static_cast<int>(abi::ExitCode::Usage);
    return {.command = std::nullopt, .text = asked ? out.str() : err.str() + out.str(), .exit_code = asked ? 0 : usage};
  }
}

}  // namespace vmm::cli
