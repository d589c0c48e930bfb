// Machines run by QEMU, with our device models behind vhost-user.
#pragma once

#include <memory>

#include "vmm/machine/backend.hpp"

namespace vmm::qemu {

/// A machine that is not started yet.
///
/// QEMU is given its sockets ready-made and dies with the thread that calls start(), which therefore must be the main
/// thread. Its devices run on a thread of their own.
std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config);

}  // namespace vmm::qemu
