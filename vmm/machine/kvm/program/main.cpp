// sisvmm-kvm: one machine, run by KVM.
#include <cstdio>
#include <exception>

#include "options.hpp"
#include "sessions.hpp"
#include "vmm/machine/kvm_protocol/message.hpp"
#include "vmm/terminal/signals.hpp"
#include "vmm/terminal/terminal.hpp"

namespace vmm::kvm_program {
namespace {

Result<machine_kvm::Options> machine_of(CommandLine line) {
  if (line.snapshot.empty()) return std::move(line.machine);
  auto state = snapshot::read_machine(line.snapshot);
  if (!state) return std::unexpected(std::move(state.error()));
  auto restored = machine_kvm::options_of(std::move(*state), line.snapshot);
  restored.vsock_socket = std::move(line.machine.vsock_socket);
  if (!line.machine.name.empty()) restored.name = std::move(line.machine.name);
  return restored;
}

Result<> run(CommandLine line) {
  const bool supervised = line.supervised;
  const bool legacy_clients = line.legacy_clients;
  const auto timeout = line.timeout_s;
  if (supervised) {
    if (auto checked = check_descriptors(line.legacy_clients); !checked) return checked;
  }
  sandbox::Sandbox sandbox;
  if (line.sandbox) {
    auto made = sandbox::Sandbox::create(restore_terminal);
    if (!made) return std::unexpected(std::move(made.error()));
    sandbox = *made;
  }
  auto loop = EventLoop::create();
  if (!loop) return std::unexpected(std::move(loop.error()));
  auto options = machine_of(std::move(line));
  if (!options) return std::unexpected(std::move(options.error()));
  options->sandbox = sandbox;
  if (supervised) {
    auto counters = map_counters();
    if (!counters) return std::unexpected(std::move(counters.error()));
    options->counters = *counters;
    options->vsock_listener = kvm_protocol::kListenerFd;
    if (legacy_clients) options->legacy_listener = kvm_protocol::kLegacyListenerFd;
  }
  const auto machine = machine_kvm::make_machine(std::move(*options));
  return supervised ? run_supervised(**loop, *machine, sandbox) : run_at_terminal(**loop, *machine, sandbox, timeout);
}

int report(const Error& error) {
  std::fprintf(stderr, "sisvmm-kvm: %s\n", error.message.c_str());
  return static_cast<int>(error.exit_code);
}

int main_with(int argc, char** argv) {
  ignore_broken_pipes();
  auto line = parse_command_line(argc, argv);
  if (!line) return report(line.error());
  if (line->help) return std::fputs(kUsage, stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0;
  const auto ended = run(std::move(*line));
  return ended ? 0 : report(ended.error());
}

}  // namespace
}  // namespace vmm::kvm_program

int main(int argc, char** argv) {
  try {
    return vmm::kvm_program::main_with(argc, argv);
  } catch (const std::exception& error) {
    return vmm::kvm_program::report({.message = std::string("internal error: ") + error.what()});
  }
}
