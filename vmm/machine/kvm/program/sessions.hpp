// What a machine is connected to, from its start to its end.
#pragma once

#include <memory>
#include <optional>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/machine/kvm/machine.hpp"
#include "vmm/machine/kvm_protocol/counters.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::kvm_program {

/// Its console is the standard input and output. Returns how it ended.
Result<> run_at_terminal(EventLoop& loop, machine_kvm::Machine& machine, sandbox::Sandbox sandbox,
                         std::optional<double> timeout_s);

/// Whether sisvmm has started us, as --supervised says. To be called before anything is opened.
Result<> check_descriptors(bool legacy_clients);

/// Its console and its orders come from sisvmm, which also hears how it ended. Returns when it has.
Result<> run_supervised(EventLoop& loop, machine_kvm::Machine& machine, sandbox::Sandbox sandbox);

/// Where sisvmm reads the counters, for the rest of the process's life.
Result<kvm_protocol::Counters*> map_counters();

}  // namespace vmm::kvm_program
