// What the QEMU of this host can do.
#pragma once

#include <string>
#include <vector>

#include "vmm/base/result.hpp"

namespace vmm::qemu {

struct Capabilities {
  std::string program;              ///< its path; empty: there is none
  std::string version;              ///< "7.2.22"
  std::vector<std::string> accels;  ///< "tcg", "kvm" ...
  bool vhost_user_vsock = false;    ///< has the device
  bool shared_memory = false;       ///< has the memory object
  bool vhost_user_fs = false;       ///< has the device that carries the NPU
  std::string kvm_problem = {};     ///< why /dev/kvm cannot be used; empty: it can, or this is no Linux
};

/// Asks QEMU, by running it a few times (some hundred milliseconds).
Capabilities probe();

/// What is missing to run a machine under `accel`, with an NPU if `npu`, one sentence each with what to do about it.
/// Empty: nothing.
std::vector<std::string> missing_for(const Capabilities& capabilities, const std::string& accel, bool npu);

/// Pieces of probe(), for tests. The version in the output of --version; empty if there is none.
std::string parse_version(const std::string& text);
/// The accelerators in the output of -accel help.
std::vector<std::string> parse_accels(const std::string& text);

}  // namespace vmm::qemu
