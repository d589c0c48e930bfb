#include "vmm/cli/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "abi/exit_code.hpp"
#include "vmm/suite/repeat.hpp"

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

void add_sandbox_option(CLI::App* command, bool& sandbox) {
  command->add_flag("!--no-sandbox", sandbox,
                    "Keep capabilities, refuse no system call: for debuggers (docs/sandbox.md)");
}

void add_boot(CLI::App* boot, BootOptions& options, std::vector<std::string>& given) {
  boot->add_option("KERNEL", options.kernel, "Image, ELF or flat file")->required();
  boot->add_option("--format", options.format, "auto, image, elf, or flat: loaded as it is, 512 KiB into memory")
      ->check(CLI::IsMember({"auto", "image", "elf", "flat"}));
  boot->add_option("--initrd", options.initrd, "Initial RAM disk, or a boot archive");
  boot->add_option("--append", options.arguments, "The kernel's command line");
  boot->add_option("--vsock", options.vsock, "Add a vsock device whose socket is here");
  boot->add_option("--timeout", options.timeout_s, "Stop after so many seconds, exit code 6")
      ->check(CLI::Range(0.001, kMaxSeconds));
  add_sandbox_option(boot, options.sandbox);
  auto machine_options = hardware_options();
  machine_options.push_back({"--huge-pages", "machine.huge_pages", "true: the guest's memory in pages of 2 MiB"});
  add_machine_options(boot, machine_options, given, options.overrides);
}

void add_dumpdtb(CLI::App* dump, DumpDtbOptions& options, std::vector<std::string>& given) {
  dump->add_option("-o,--output", options.output, "File (default: the standard output)");
  dump->add_option("--append", options.arguments, "The kernel's command line");
  dump->add_flag("--pmu", options.pmu, "As on a host with a PMU");
  add_machine_options(dump, hardware_options(), given, options.overrides);
}

/// Options of commands that run a machine with a control server. `Options`: RunOptions or RestoreOptions.
template <typename Options>
void add_session_options(CLI::App* command, Options& options) {
  command->add_option("--name", options.name, "Name of the machine (default: the scenario's)");
  command->add_option("--run-dir", options.run_dir, "Where its files go (default: runs/NAME here)");
  command->add_option("--timeout", options.timeout_s, "Stop after so many seconds, exit code 6")
      ->check(CLI::Range(0.001, kMaxSeconds));
  command->add_option("--web", options.web, "Serve the live page meanwhile, as 127.0.0.1:8080; port 0: a free one");
  command->add_flag("-i,--interactive", options.interactive, "Attach the terminal to the guest's shell; Ctrl-] leaves");
  command->add_flag("--json", options.json, "Print summary.json and nothing else")->excludes("-i");
  add_sandbox_option(command, options.sandbox);
}

void add_run(CLI::App* run, RunOptions& options, std::vector<std::string>& given) {
  run->add_option("FILE", options.file, "The scenario")->required();
  add_session_options(run, options);
  run->add_flag("--until-ready", options.until_ready,
                "Stop a machine without steps, which has no end of its own, as soon as its guest answers")
      ->excludes("-i");
  run->add_flag("--observe", options.observe,
                "Write metrics.json and trace.json, as with `observe: {}` in the scenario (docs/observation.md)");
  run->add_option("--repeat", options.repeat,
                  "Run it N times, one after the other, and print statistics; default of --run-dir: runs/NAME-repeat")
      ->check(CLI::Range(1U, suite::Repeat::kMaxRuns))
      ->excludes("-i", "--web");
  run->add_flag("--until-failure", options.until_failure, "With --repeat: the first run that does not pass is the last")
      ->needs("--repeat");
  run->add_option("--kernel", options.kernel,
                  "Guest image (default: boot.kernel, $SIS_KERNEL, the one built with sisvmm)");
  const std::vector<MachineOption> machine_options = {
      {"--backend", "machine.backend", "auto, qemu or kvm, instead of the scenario's machine.backend"},
      {"--accel", "machine.accel", "auto, tcg, kvm or hvf, instead of machine.accel"},
      {"--cpus", "machine.cpus", "Number of CPUs, instead of machine.cpus"},
      {"--memory", "machine.memory", "Guest memory, as 512MiB, instead of machine.memory"},
      {"--huge-pages", "machine.huge_pages", "true or false, instead of machine.huge_pages"},
  };
  add_machine_options(run, machine_options, given, options.overrides);
}

void add_test(CLI::App* test, TestOptions& options) {
  static constexpr unsigned kMaxJobs = 256;
  test->add_option("PATH", options.paths, "Scenarios, and folders of them (*.yaml, *.yml)")->required();
  test->add_option("--filter", options.filter, "Only those whose name matches the shell pattern, as 'vision-*'");
  test->add_option("--jobs", options.jobs, "How many run at the same time (default: as many as there are processors)")
      ->check(CLI::Range(1U, kMaxJobs));
  test->add_option("--run-dir", options.run_dir,
                   "Where their files go, a folder for each scenario, and suite.json (default: runs/suite here)");
  test->add_option("--junit", options.junit, "Also write the results into this file, for CI systems");
  test->add_flag("--json", options.json, "Print suite.json and nothing else");
}

void add_restore(CLI::App* restore, RestoreOptions& options) {
  restore->add_option("FOLDER", options.folder, "What `sisctl snapshot` wrote; must stay while the machine runs")
      ->required();
  add_session_options(restore, options);
  restore->add_flag("--audit", options.audit, "Write the guest's audit log into audit.jsonl, as control.audit does");
}

void add_stop(CLI::App* stop, StopOptions& options) {
  stop->add_option("NAME", options.name, "The machine")->required();
  stop->add_option("--timeout", options.timeout_s, "Seconds until it is killed (default: timeouts.stop)")
      ->check(CLI::Range(0.0, kMaxSeconds));
}

/// What is read from the command line, for whichever command it is.
struct Storage {
  RunOptions run;
  TestOptions test;
  RestoreOptions restore;
  BootOptions boot;
  DumpDtbOptions dumpdtb;
  CheckOptions check;
  DoctorOptions doctor;
  ListOptions list;
  StopOptions stop;
  ConsoleOptions console;
  SchemaOptions schema;
  ReportOptions report;
  std::vector<std::string> machine;  ///< texts of the machine's options
};

struct CommandEntry {
  std::string_view name;
  const char* help;
  void (*add_options)(CLI::App* command, Storage& storage);
  Command (*take)(Storage& storage);
};

constexpr CommandEntry kCommands[] = {
    {"run", "Run a scenario: boot the guest, send its steps, check what must hold",
     [](CLI::App* command, Storage& storage) { add_run(command, storage.run, storage.machine); },
     [](Storage& storage) -> Command { return std::move(storage.run); }},
    {"test", "Run many scenarios, each by a process of its own, and say what came of each",
     [](CLI::App* command, Storage& storage) { add_test(command, storage.test); },
     [](Storage& storage) -> Command { return std::move(storage.test); }},
    {"restore", "Go on with a machine that `sisctl snapshot` saved, by KVM",
     [](CLI::App* command, Storage& storage) { add_restore(command, storage.restore); },
     [](Storage& storage) -> Command { return std::move(storage.restore); }},
    {"boot", "Boot any arm64 kernel by KVM, without a scenario; its console is the terminal, Ctrl-] leaves",
     [](CLI::App* command, Storage& storage) { add_boot(command, storage.boot, storage.machine); },
     [](Storage& storage) -> Command { return std::move(storage.boot); }},
    {"dumpdtb", "Write the device tree that the KVM machine gives its guest",
     [](CLI::App* command, Storage& storage) { add_dumpdtb(command, storage.dumpdtb, storage.machine); },
     [](Storage& storage) -> Command { return std::move(storage.dumpdtb); }},
    {"check", "Validate scenarios without running them",
     [](CLI::App* command, Storage& storage) {
       command->add_option("FILE", storage.check.files, "Scenarios")->required();
     },
     [](Storage& storage) -> Command { return std::move(storage.check); }},
    {"doctor", "Say which back ends this host can run, and why not the others",
     [](CLI::App* command, Storage& storage) { command->add_flag("--json", storage.doctor.json, "As JSON"); },
     [](Storage& storage) -> Command { return storage.doctor; }},
    {"ls", "List machines",
     [](CLI::App* command, Storage& storage) { command->add_flag("--json", storage.list.json, "As JSON"); },
     [](Storage& storage) -> Command { return storage.list; }},
    {"stop", "Stop a machine: ask the guest to shut down, then kill it",
     [](CLI::App* command, Storage& storage) { add_stop(command, storage.stop); },
     [](Storage& storage) -> Command { return std::move(storage.stop); }},
    {"console", "Attach the terminal to a machine's console; Ctrl-] leaves",
     [](CLI::App* command, Storage& storage) {
       command->add_option("NAME", storage.console.name, "The machine")->required();
     },
     [](Storage& storage) -> Command { return std::move(storage.console); }},
    {"report", "Write the page that shows a run, or compares two: one HTML file, which needs no network",
     [](CLI::App* command, Storage& storage) {
       command->add_option("RUN", storage.report.folders, "Run folder, as runs/NAME; a second one to compare with")
           ->required()
           ->expected(1, 2);
       command->add_option("-o,--output", storage.report.output, "File (default: report.html in the first folder)");
     },
     [](Storage& storage) -> Command { return std::move(storage.report); }},
    {"schema", "Print the JSON Schema of scenarios, or of a file of a run",
     [](CLI::App* command, Storage& storage) {
       command->add_option("FORMAT", storage.schema.format, "scenario (unless given), metrics, or trace")
           ->check(CLI::IsMember({"scenario", "metrics", "trace"}));
     },
     [](Storage& storage) -> Command { return std::move(storage.schema); }},
};

const CommandEntry* find_command(std::string_view name) {
  const auto* const found = std::ranges::find(kCommands, name, &CommandEntry::name);
  return found == std::end(kCommands) ? nullptr : found;
}

}  // namespace

Parsed parse_command_line(int argc, const char* const* argv, const std::string& version) {
  CLI::App app("The SIS virtual machine monitor. Exit codes: docs/exit-codes.md", "sisvmm");
  app.set_version_flag("--version", "sisvmm " + version);
  app.require_subcommand(1);
  Storage storage;
  // Making options costs more than reading them: only the named command's are made.
  const CommandEntry* const named = argc > 1 ? find_command(argv[1]) : nullptr;
  for (const CommandEntry& entry : kCommands) {
    if (named != nullptr && named != &entry) continue;
    entry.add_options(app.add_subcommand(std::string(entry.name), entry.help), storage);
  }
  try {
    app.parse(argc, argv);
    return {.command = find_command(app.get_subcommands().front()->get_name())->take(storage), .text = {}};
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const bool asked = app.exit(error, out, err) == 0;
    const int usage = static_cast<int>(abi::ExitCode::Usage);
    return {.command = std::nullopt, .text = asked ? out.str() : err.str() + out.str(), .exit_code = asked ? 0 : usage};
  }
}

}  // namespace vmm::cli
