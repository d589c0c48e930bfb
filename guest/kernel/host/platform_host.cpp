// What the hardware gives the portable kernel, for host builds (unit tests, fuzzers).
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/host_cpu.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {
thread_local std::uint32_t this_cpu = 0;
thread_local bool masked = false;  // no interrupts come here, but code asks
static_assert(kMaxCpus == 8);
constinit CpuData cpus[kMaxCpus] = {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}};
}  // namespace

HostCpu::HostCpu(std::uint32_t index) : before_(this_cpu) {
  require(index < kMaxCpus, "no such CPU");
  this_cpu = index;
}
HostCpu::~HostCpu() { this_cpu = before_; }

std::uint32_t cpu_index() { return this_cpu; }
CpuData& cpu_data() { return cpus[this_cpu]; }
CpuData& cpu_data(std::uint32_t cpu) { return cpus[cpu]; }
void spin_pause() { std::this_thread::yield(); }
std::uint64_t tick_count() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}
std::uint64_t tick_frequency_hz() {
  using Period = std::chrono::steady_clock::period;
  static_assert(Period::num == 1);
  return Period::den;
}

InterruptState mask_interrupts() { return InterruptState{std::exchange(masked, true) ? 1U : 0U}; }
void restore_interrupts(InterruptState state) { masked = state != InterruptState{0}; }
void enable_interrupts() { masked = false; }
bool interrupts_were_on(InterruptState state) { return state == InterruptState{0}; }

void panic(std::string_view reason, std::source_location where) {
  std::fprintf(stderr, "kernel panic: %.*s at %s:%u\n", static_cast<int>(reason.size()), reason.data(),
               where.file_name(), static_cast<unsigned>(where.line()));
  std::abort();
}

}  // namespace guest::kernel
