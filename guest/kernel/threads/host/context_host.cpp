#include <sanitizer/common_interface_defs.h>
#include <ucontext.h>

#include <cstddef>
#include <deque>
#include <new>

#include "guest/kernel/host_cpu.hpp"
#include "guest/kernel/threads/context.hpp"
#include "guest/kernel/threads/host_context.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIS_FIBERS 1
#endif
#endif

namespace guest::threads {
namespace {

struct HostContext {
  ucontext_t registers{};
  void* fake_stack = nullptr;  ///< AddressSanitizer's
};

/// Vector kernels take some hundred KiB where the sanitisers watch each of their many values.
constexpr std::size_t kStackBytes = 1024 * 1024;
void (*host_kick)(std::uint32_t cpu) = nullptr;
void (*host_spin)() = nullptr;

/// What a context's numbers stand for here: they are addresses of this process.
void* pointer_to(std::uint64_t address) {
  return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
}

HostContext& host_context(const Context& context) {
  return *static_cast<HostContext*>(pointer_to(context.stack_pointer));  // made in adopt_stack() or allocate_stack()
}

/// Tells AddressSanitizer that the stack changes.
void before_switch([[maybe_unused]] HostContext& from, [[maybe_unused]] const Context& to) {
#ifdef SIS_FIBERS
  __sanitizer_start_switch_fiber(&from.fake_stack, pointer_to(to.stack_bottom), to.stack_top - to.stack_bottom);
#endif
}
void after_switch([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** bottom,
                  [[maybe_unused]] std::size_t* size) {
#ifdef SIS_FIBERS
  __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
#endif
}

Context* adopted = nullptr;  // whose stack is not known until it is left
void (*first_entry)() = nullptr;

void begin() {
  const void* bottom = nullptr;
  std::size_t size = 0;
  after_switch(nullptr, &bottom, &size);
  if (adopted != nullptr && adopted->stack_bottom == 0) {
    adopted->stack_bottom = reinterpret_cast<std::uint64_t>(bottom);
    adopted->stack_top = adopted->stack_bottom + size;
  }
  first_entry();
}

}  // namespace

void set_host_kick(void (*kick)(std::uint32_t cpu)) { host_kick = kick; }
void kick(std::uint32_t cpu) { host_kick(cpu); }
void set_host_spin(void (*spin)()) { host_spin = spin; }
void spin() { host_spin(); }

bool call_on(std::uint32_t cpu, kernel::CallFunction function, void* context) {
  const kernel::HostCpu number(cpu);
  function(context);
  return true;
}

void adopt_stack(Context& context) {
  static std::deque<HostContext> contexts;
  context.stack_pointer = reinterpret_cast<std::uint64_t>(&contexts.emplace_back());
}

bool allocate_stack(Context& context) {
  auto* const stack = new (std::nothrow) std::byte[kStackBytes];
  auto* const host = new (std::nothrow) HostContext;
  if (stack == nullptr || host == nullptr) {
    delete[] stack;
    delete host;
    return false;
  }
  context = {.stack_pointer = reinterpret_cast<std::uint64_t>(host),
             .stack_bottom = reinterpret_cast<std::uint64_t>(stack),
             .stack_top = reinterpret_cast<std::uint64_t>(stack) + kStackBytes};
  return true;
}

void free_stack(Context& context) {
  delete &host_context(context);
  delete[] static_cast<std::byte*>(pointer_to(context.stack_bottom));  // of allocate_stack()
  context = {};
}

void make_context(Context& context, void (*entry)()) {
  ucontext_t& registers = host_context(context).registers;
  getcontext(&registers);
  registers.uc_stack.ss_sp = pointer_to(context.stack_bottom);
  registers.uc_stack.ss_size = context.stack_top - context.stack_bottom;
  first_entry = entry;  // the same for all
  makecontext(&registers, begin, 0);
}

// The host's C library switches all registers, and there are no user tasks.
void switch_extras(Context&, Context&) {}
void drop_extras(Context&) {}

void switch_context(Context& from, Context& to) {
  HostContext& leaving = host_context(from);
  if (from.stack_bottom == 0) {
    adopted = &from;
  }
  before_switch(leaving, to);
  swapcontext(&leaving.registers, &host_context(to).registers);
  after_switch(leaving.fake_stack, nullptr, nullptr);
}

}  // namespace guest::threads
