#include "guest/arch/smp.hpp"

#include "end_of_machine.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/gic.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::arch {
namespace {

constinit kernel::CallQueue call_queues[kernel::kMaxCpus];

void attach(Ipi ipi, std::string_view name, kernel::InterruptHandler handler) {
  const bool attached = kernel::interrupts().attach(kernel::IntId{static_cast<std::uint32_t>(ipi)},
                                                    kernel::Trigger::Edge, name, handler, nullptr);
  kernel::require(attached, "an interrupt between CPUs cannot be attached");
}

bool online(std::uint32_t cpu) {
  // Acquire pairs with the release of the CPU that came online: the controller can reach it.
  return cpu < kernel::kMaxCpus && cpu_locals[cpu].state.load(std::memory_order_acquire) == CpuState::Online;
}

}  // namespace

void start_ipis() {
  attach(Ipi::Call, "call", [](void*) { call_queues[cpu_index()].run(); });
  attach(Ipi::Wake, "wake", [](void*) {
    if (threads::Dispatcher* const here = threads::find_dispatcher()) {
      here->run_inbox();
    }
  });
  attach(Ipi::Stop, "stop", [](void*) { stop_this_cpu(); });
}

void send_ipi(std::uint32_t cpu, Ipi ipi) {
  if (!online(cpu)) {
    return;
  }
  // Masked, so that the count is of the CPU that sends, and has one writer.
  const kernel::CriticalSection section;
  std::atomic<std::uint64_t>& sent = this_cpu().ipis_sent;
  sent.store(sent.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  kernel::trace().record(kernel::TraceType::IpiSend, cpu, static_cast<std::uint64_t>(ipi));
  raise_software_interrupt(static_cast<std::uint32_t>(ipi), cpu);
}

namespace smp {
namespace {

kernel::CallPush push(std::uint32_t cpu, const kernel::Call& call) {
  // Masked until the interrupt is sent: a ring has one writer, and a sender that has set the first bit must not be kept
  // from telling the target by whatever interrupts it.
  const kernel::CriticalSection section;
  const kernel::CallPush result = call_queues[cpu].push(cpu_index(), call);
  if (result == kernel::CallPush::QueuedFirst) {
    send_ipi(cpu, Ipi::Call);
  }
  return result;
}

/// On the stack of the CPU that waits.
struct Waiting {
  kernel::CallFunction function;
  void* context;
  std::atomic<bool> done{false};
};

void run_waiting(void* context) {
  auto& waiting = *static_cast<Waiting*>(context);
  waiting.function(waiting.context);
  // Release pairs with the acquire in call_and_wait(): what the function wrote is visible to the caller. The caller's
  // stack frame may be gone from here on.
  waiting.done.store(true, std::memory_order_release);
}

}  // namespace

bool call(std::uint32_t cpu, kernel::CallFunction function, void* context) {
  return online(cpu) && push(cpu, {function, context}) != kernel::CallPush::Full;
}

bool call_and_wait(std::uint32_t cpu, kernel::CallFunction function, void* context) {
  kernel::require(!daif::I::decode(sysreg::Daif::read()), "a CPU waits for another one with its interrupts masked");
  if (!online(cpu)) {
    return false;
  }
  Waiting waiting{.function = function, .context = context};
  while (push(cpu, {run_waiting, &waiting}) == kernel::CallPush::Full) {
    kernel::spin_pause();
  }
  while (!waiting.done.load(std::memory_order_acquire)) {
    kernel::spin_pause();
  }
  return true;
}

}  // namespace smp
}  // namespace guest::arch
