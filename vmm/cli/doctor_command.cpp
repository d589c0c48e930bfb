#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "native_kvm.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/qemu/command_line.hpp"
#include "vmm/qemu/probe.hpp"

namespace vmm::cli {
namespace {

using nlohmann::ordered_json;

/// One way to run machines.
ordered_json way(const char* backend, const std::string& accel, const std::vector<std::string>& missing) {
  return {{"backend", backend}, {"accel", accel}, {"usable", missing.empty()}, {"missing", missing}};
}

ordered_json examine() {
  const auto qemu = qemu::probe();
  const auto native = missing_for_native_kvm();
  const std::string default_accel = native.empty() ? "kvm" : qemu::accelerator(scenario::Accel::Auto);
  struct utsname host{};
  ::uname(&host);
  ordered_json found{{"version", version()},
                     {"host", {{"system", host.sysname}, {"release", host.release}, {"machine", host.machine}}},
                     {"qemu", {{"program", qemu.program}, {"version", qemu.version}, {"accels", qemu.accels}}},
                     {"default_backend", native.empty() ? "kvm" : "qemu"},
                     {"default_accel", default_accel},
                     {"ways", ordered_json::array()},
                     {"problems", ordered_json::array()}};
  for (const char* accel : {"tcg", "kvm", "hvf"})
    found["ways"].push_back(way("qemu", accel, missing_for(qemu, accel, false)));
  found["ways"].push_back(way("kvm", "kvm", native));
  if (const auto kernel = find_kernel(std::nullopt, {})) {
    found["guest_image"] = kernel->string();
  } else {
    found["guest_image"] = nullptr;
    found["problems"].push_back(kernel.error().message);
  }
  if (const auto folder = machine::machines_folder()) {
    found["machines_folder"] = folder->string();
  } else {
    found["problems"].push_back(folder.error().message);
  }
  if (!native.empty()) {
    for (const auto& sentence : missing_for(qemu, default_accel, false)) found["problems"].push_back(sentence);
  }
  found["usable"] = found["problems"].empty();
  return found;
}

void print(const ordered_json& found) {
  const auto text = [](const ordered_json& value) { return value.get<std::string>(); };
  const auto& host = found["host"];
  std::printf("sisvmm %s on %s %s, %s\n\n", text(found["version"]).c_str(), text(host["system"]).c_str(),
              text(host["release"]).c_str(), text(host["machine"]).c_str());
  for (const auto& way : found["ways"]) {
    const bool usable = way["usable"].get<bool>();
    const bool chosen = way["backend"] == found["default_backend"] && way["accel"] == found["default_accel"];
    std::printf("%-4s  --backend %-5s --accel %s%s\n", usable ? "yes" : "no", text(way["backend"]).c_str(),
                text(way["accel"]).c_str(), usable && chosen ? "  (what auto takes)" : "");
    for (const auto& missing : way["missing"]) std::printf("        %s\n", text(missing).c_str());
  }
  const bool has_image = found["guest_image"].is_string();
  std::printf("\nguest image: %s\n", has_image ? text(found["guest_image"]).c_str() : "none");
  if (found["usable"].get<bool>()) {
    std::puts("this host can run scenarios");
    return;
  }
  std::puts("this host cannot run scenarios:");
  for (const auto& problem : found["problems"]) std::printf("  %s\n", text(problem).c_str());
}

}  // namespace

int doctor(const DoctorOptions& options) {
  const auto found = examine();
  if (options.json) {
    std::puts(found.dump(2, ' ', false, ordered_json::error_handler_t::replace).c_str());
  } else {
    print(found);
  }
  return static_cast<int>(found["usable"].get<bool>() ? abi::ExitCode::Passed : abi::ExitCode::HostLacks);
}

}  // namespace vmm::cli
