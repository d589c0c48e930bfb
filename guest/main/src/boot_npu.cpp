#include "boot_npu.hpp"

#include <optional>

#include "guest/kernel/counters.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "guest/npu/metrics.hpp"
#include "npu/kernels/kernels.hpp"

namespace guest {
namespace {

constinit std::optional<npu::CpuAccelerator> cpu;

}  // namespace

void start_npu() {
  npu::metrics().register_all(kernel::counters());
  npu::set_npu(cpu.emplace(::npu::scalar_kernels()));
}

}  // namespace guest
