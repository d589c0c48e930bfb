#include "guest/arch/cpu_local.hpp"

namespace guest::arch {

// Not zero, so not in .bss: the boot CPU's is in use while .bss is cleared.
constinit CpuLocal cpu_locals[kernel::kMaxCpus] = {CpuLocal(0), CpuLocal(1), CpuLocal(2), CpuLocal(3),
                                                   CpuLocal(4), CpuLocal(5), CpuLocal(6), CpuLocal(7)};

}  // namespace guest::arch

namespace guest::kernel {
CpuData& cpu_data(std::uint32_t cpu) { return arch::cpu_locals[cpu].data; }
}  // namespace guest::kernel
