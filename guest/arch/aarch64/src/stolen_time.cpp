#include "guest/arch/stolen_time.hpp"

#include <optional>

#include "guest/arch/mmu.hpp"
#include "guest/arch/model/stolen_time.hpp"
#include "guest/arch/psci.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/log.hpp"

namespace guest::arch {
namespace {

/// Asked by the boot CPU before it starts the others, which read it.
constinit bool offered = false;

}  // namespace

const std::atomic<std::uint64_t>* find_stolen_time_here() {
  if (kernel::cpu_index() == 0) {
    offered = offers_stolen_time(smccc_call, psci_version());
  }
  if (!offered) {
    return nullptr;
  }
  const std::optional<std::uint64_t> address = stolen_time_address(smccc_call);
  if (!address) {
    kernel::log_error("CPU {}: the hypervisor offers stolen time, but has no address for it", kernel::cpu_index());
    return nullptr;
  }
  MapStatus status{};
  const void* const memory = map_shared(*address, sizeof(StolenTimeStructure), status);
  if (memory == nullptr) {
    kernel::log_error("CPU {}: stolen time at {:#x} cannot be mapped", kernel::cpu_index(), *address);
    return nullptr;
  }
  // The hypervisor has made the structure there (Arm DEN0057, PV_TIME_ST); the address is aligned as it is.
  const auto& structure = *static_cast<const StolenTimeStructure*>(memory);
  if (!is_understood(structure)) {
    kernel::log_error("CPU {}: stolen time of revision {}, attributes {:#x}: expected 0 and 0", kernel::cpu_index(),
                      structure.revision, structure.attributes);
    return nullptr;
  }
  return &structure.stolen_ns;
}

}  // namespace guest::arch
