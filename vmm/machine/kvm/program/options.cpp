#include "options.hpp"

#include <getopt.h>

#include <array>
#include <string_view>

#include "vmm/base/numbers.hpp"

namespace vmm::kvm_program {

const char kUsage[] =
    "usage: sisvmm-kvm [OPTION...] KERNEL\n"
    "       sisvmm-kvm [OPTION...] --restore FOLDER\n"
    "\n"
    "Runs one machine by KVM, its console on the terminal; Ctrl-] leaves. `sisvmm boot` and `sisvmm run` start it.\n"
    "\n"
    "  --format F         of KERNEL: auto, image, elf, or flat: loaded as it is, 512 KiB into memory\n"
    "  --initrd FILE      initial RAM disk, or a boot archive\n"
    "  --append TEXT      the kernel's command line\n"
    "  --cpus N           1 to 8 (default: 1)\n"
    "  --memory SIZE      64MiB to 64GiB in steps of 2MiB (default: 512MiB)\n"
    "  --gic-version N    2 or 3 (default: 3, or what the host has)\n"
    "  --huge-pages B     true: the guest's memory in pages of 2 MiB\n"
    "  --restore FOLDER   go on with the machine that `sisctl snapshot` wrote there, which must stay while it runs\n"
    "  --vsock PATH       add a vsock device whose socket is here\n"
    "  --npu OPTIONS      add an NPU: threads=N, timing=host|modelled and injected faults, by commas "
    "(docs/npu-device.md)\n"
    "  --timeout S        stop after so many seconds, exit code 6\n"
    "  --no-sandbox       keep capabilities, refuse no system call: for debuggers (docs/sandbox.md)\n"
    "  --name NAME        of the machine, kept in snapshots\n"
    "  --supervised       started by sisvmm: descriptors 3 to 6 are console, channel, counters, clients\n"
    "  --legacy-clients   with --supervised: descriptor 7 listens for clients of protocol version 0\n"
    "  --help             this text\n"
    "\n"
    "Exit codes: docs/exit-codes.md\n";

namespace {

constexpr std::uint64_t kMiB = 1ull << 20;
constexpr std::uint64_t kMinMemory = 64 * kMiB;
constexpr std::uint64_t kMaxMemory = 64 * 1024 * kMiB;
constexpr std::uint64_t kMemoryStep = 2 * kMiB;
constexpr unsigned kMaxCpus = 8;
constexpr double kMinSeconds = 0.001;
constexpr double kMaxSeconds = 7 * 24 * 3600;

enum Id : int {
  kFormat = 1,
  kInitrd,
  kAppend,
  kCpus,
  kMemory,
  kGic,
  kHuge,
  kNpu,
  kRestore,
  kVsock,
  kTimeout,
  kNoSandbox,
  kName,
  kSupervised,
  kLegacyClients,
  kHelp
};

constexpr std::array kOptions = {
    option{"format", required_argument, nullptr, kFormat},
    option{"initrd", required_argument, nullptr, kInitrd},
    option{"append", required_argument, nullptr, kAppend},
    option{"cpus", required_argument, nullptr, kCpus},
    option{"memory", required_argument, nullptr, kMemory},
    option{"gic-version", required_argument, nullptr, kGic},
    option{"huge-pages", required_argument, nullptr, kHuge},
    option{"npu", required_argument, nullptr, kNpu},
    option{"restore", required_argument, nullptr, kRestore},
    option{"vsock", required_argument, nullptr, kVsock},
    option{"timeout", required_argument, nullptr, kTimeout},
    option{"no-sandbox", no_argument, nullptr, kNoSandbox},
    option{"name", required_argument, nullptr, kName},
    option{"supervised", no_argument, nullptr, kSupervised},
    option{"legacy-clients", no_argument, nullptr, kLegacyClients},
    option{"help", no_argument, nullptr, kHelp},
    option{nullptr, 0, nullptr, 0},
};

std::unexpected<Error> refuse(const std::string& text) {
  return fail(text + "; `sisvmm-kvm --help` lists the options", abi::ExitCode::Usage);
}

std::unexpected<Error> refuse(const char* name, std::string_view given, const char* allowed) {
  return refuse("--" + std::string(name) + ": given " + std::string(given) + ", allowed: " + allowed);
}

/// A number of [least, most].
template <typename T>
std::optional<T> number_in(std::string_view text, T least, T most) {
  const auto value = parse_whole<T>(text);
  return value && *value >= least && *value <= most ? value : std::nullopt;
}

/// One option that says what the machine is, which a snapshot says, too.
Result<> take_hardware(int id, const char* name, std::string_view given, machine_kvm::Options& machine) {
  switch (id) {
    case kFormat: {
      const auto format = board::kernel_format_from(given);
      if (!format) return refuse(name, given, "auto, image, elf, flat");
      machine.kernel_format = *format;
      return {};
    }
    case kInitrd:
      machine.initrd = given;
      return {};
    case kAppend:
      machine.boot_arguments = given;
      return {};
    case kCpus: {
      const auto cpus = number_in(given, 1u, kMaxCpus);
      if (!cpus) return refuse(name, given, "1 to 8");
      machine.cpus = *cpus;
      return {};
    }
    case kMemory: {
      const auto bytes = parse_with_unit(given, kSizeUnits);
      if (!bytes || *bytes < kMinMemory || *bytes > kMaxMemory || *bytes % kMemoryStep != 0) {
        return refuse(name, given, "a size from 64MiB to 64GiB in steps of 2MiB, with the unit B, KiB, MiB or GiB");
      }
      machine.memory_bytes = *bytes;
      return {};
    }
    case kNpu: {
      auto options = npu::parse_options(given);
      if (!options) return std::unexpected(std::move(options.error()));
      machine.npu = std::move(*options);
      return {};
    }
    case kGic: {
      const auto version = number_in(given, 2u, 3u);
      if (!version) return refuse(name, given, "2 or 3");
      machine.gic_version = *version;
      return {};
    }
    default:
      if (given != "true" && given != "false") return refuse(name, given, "true or false");
      machine.huge_pages = given == "true";
      return {};
  }
}

/// Any other.
Result<> take(int id, const char* name, std::string_view given, CommandLine& line) {
  switch (id) {
    case kRestore:
      line.snapshot = given;
      return {};
    case kVsock:
      line.machine.vsock_socket = given;
      return {};
    case kTimeout:
      line.timeout_s = number_in(given, kMinSeconds, kMaxSeconds);
      if (!line.timeout_s) return refuse(name, given, "0.001 to 604800 seconds");
      return {};
    case kNoSandbox:
      line.sandbox = false;
      return {};
    case kName:
      line.machine.name = given;
      return {};
    case kSupervised:
      line.supervised = true;
      return {};
    case kLegacyClients:
      line.legacy_clients = true;
      return {};
    default:
      line.help = true;
      return {};
  }
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, char** argv) {
  CommandLine line;
  const char* hardware = nullptr;  // the name of such an option, if there was one
  int index = 0;
  // ':' first: a missing argument is told from an unknown option, and nothing is printed for us.
  for (int id = 0; (id = ::getopt_long(argc, argv, ":", kOptions.data(), &index)) != -1;) {
    if (id == ':') return refuse(std::string(argv[optind - 1]) + " needs an argument");
    if (id == '?') return refuse("unknown or ambiguous option " + std::string(argv[optind - 1]));
    const char* const name = kOptions[static_cast<std::size_t>(id - 1)].name;
    const std::string_view given = optarg == nullptr ? "" : optarg;
    if (id <= kNpu) hardware = name;
    auto taken = id <= kNpu ? take_hardware(id, name, given, line.machine) : take(id, name, given, line);
    if (!taken) return std::unexpected(std::move(taken.error()));
  }
  if (line.help) return line;
  if (line.legacy_clients && !line.supervised) return refuse("--legacy-clients goes with --supervised");
  if (!line.snapshot.empty()) {
    if (optind != argc) return refuse("--restore goes without a KERNEL, but there is " + std::string(argv[optind]));
    if (hardware != nullptr)
      return refuse("--restore goes without --" + std::string(hardware) + ": the snapshot says it");
    return line;
  }
  if (argc - optind != 1) {
    return refuse(optind == argc ? "a KERNEL is missing"
                                 : "one KERNEL is expected, but there is also " + std::string(argv[optind + 1]));
  }
  line.machine.kernel = argv[optind];
  return line;
}

}  // namespace vmm::kvm_program
