#include "vmm/qemu/probe.hpp"

#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "vmm/base/subprocess.hpp"
#include "vmm/qemu/command_line.hpp"

namespace vmm::qemu {
namespace {

constexpr int kTimeoutMs = 20000;

/// What QEMU prints when run so; nothing if it fails.
std::string ask(const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program);
  const auto output = run_program(arguments, kTimeoutMs);
  return output && output->status.ok() ? output->text : std::string();
}

/// Why this user cannot open /dev/kvm.
std::string find_kvm_problem() {
#ifdef __linux__
  if (::access("/dev/kvm", R_OK | W_OK) == 0) return {};
  if (errno == EACCES) return "no permission for /dev/kvm: add the user to its group (usually `kvm`)";
  return std::string("/dev/kvm cannot be used: ") + std::strerror(errno) +
         "; does the kernel have KVM for this machine?";
#else
  return {};
#endif
}

std::string how_to_install() {
#ifdef __APPLE__
  return "`brew install qemu` brings it";
#else
  return "on Debian and Ubuntu the package qemu-system-arm brings it";
#endif
}

}  // namespace

std::string parse_version(const std::string& text) {
  constexpr std::string_view kBefore = "version ";
  const auto found = text.find(kBefore);
  if (found == std::string::npos) return {};
  const auto start = found + kBefore.size();
  return text.substr(start, text.find_first_not_of("0123456789.", start) - start);
}

std::vector<std::string> parse_accels(const std::string& text) {
  std::vector<std::string> accels;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);  // "Accelerators supported in QEMU binary:"
  while (std::getline(lines, line)) {
    if (!line.empty() && line.find(' ') == std::string::npos) accels.push_back(line);
  }
  return accels;
}

Capabilities probe() {
  Capabilities found;
  const auto program = find_program(program_name());
  if (!program) return found;
  found.program = *program;
  found.version = parse_version(ask(*program, {"--version"}));
  found.accels = parse_accels(ask(*program, {"-accel", "help"}));
  const std::string devices = ask(*program, {"-device", "help"});
  found.vhost_user_vsock = devices.find("\"vhost-user-vsock-device\"") != std::string::npos;
  found.vhost_user_fs = devices.find("\"vhost-user-fs-device\"") != std::string::npos;
  found.shared_memory = ask(*program, {"-object", "help"}).find(shared_memory_object()) != std::string::npos;
  found.kvm_problem = find_kvm_problem();
  return found;
}

std::vector<std::string> missing_for(const Capabilities& capabilities, const std::string& accel, bool npu) {
  if (capabilities.program.empty()) {
    return {"there is no " + program_name() + "; " + how_to_install() + ", or set SIS_QEMU to its path"};
  }
  if (capabilities.version.empty()) return {capabilities.program + " does not run: it does not even tell its version"};
  std::vector<std::string> missing;
  const std::string which = capabilities.program + " (" + capabilities.version + ")";
  if (std::ranges::find(capabilities.accels, accel) == capabilities.accels.end()) {
    std::string known;
    for (const auto& name : capabilities.accels) known += (known.empty() ? "" : ", ") + name;
    missing.push_back(which + " has no accelerator " + accel + " on this host, it has: " + known);
  } else if (accel == "kvm" && !capabilities.kvm_problem.empty()) {
    missing.push_back(capabilities.kvm_problem);
  }
  if (!capabilities.vhost_user_vsock) {
    missing.push_back(which + " has no vhost-user-vsock-device; QEMU 5.1 or later built with vhost-user has it");
  }
  if (npu && !capabilities.vhost_user_fs) {
    missing.push_back(which +
                      " has no vhost-user-fs-device, which carries the NPU (npu: off does without); QEMU 4.2 or "
                      "later built with vhost-user has it");
  }
  if (!capabilities.shared_memory) {
    missing.push_back(which + " has no " + shared_memory_object() +
                      ", which shares the guest's memory with our devices");
  }
  return missing;
}

}  // namespace vmm::qemu
