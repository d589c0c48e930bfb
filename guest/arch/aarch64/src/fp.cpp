#include "guest/arch/fp.hpp"

#include <new>

#include "guest/arch/cpu.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"

extern "C" {
// fp_registers.S
void fp_save(guest::arch::FpState& state);
void fp_load(const guest::arch::FpState& state);
}

namespace guest::arch {
namespace {

/// Touched by its CPU only, interrupts masked.
struct alignas(kernel::kCacheLineBytes) CpuFp {
  threads::Context* owner = nullptr;  ///< whose registers are in the CPU; null: nobody's that are to be kept
  std::uint64_t traps = 0;
  FpState idle{};
};
constinit CpuFp cpu_fps[kernel::kMaxCpus];

void allow_fp(bool allowed) {
  using namespace cpacr_el1;
  sysreg::CpacrEl1::write(FpenBits::encode(allowed ? Fpen::NoTrap : Fpen::TrapAll));
}

}  // namespace

FpState* make_fp_state(std::uint64_t stack_top) {
  return new (reinterpret_cast<void*>(stack_top - sizeof(FpState))) FpState{};  // the stack is a thread's, and empty
}

void adopt_fp(threads::Context& context) {
  CpuFp& here = cpu_fps[kernel::cpu_index()];
  context.fp = &here.idle;
  context.extras = kExtraFp;
  here.owner = &context;
}

void take_fp() {
  const kernel::CriticalSection section;
  threads::Dispatcher& dispatcher = threads::dispatcher();
  kernel::require(!dispatcher.in_interrupt(), "an interrupt handler uses FP registers");
  CpuFp& here = cpu_fps[kernel::cpu_index()];
  threads::Context& self = dispatcher.current().context();
  kernel::require(here.owner != &self, "a use of FP registers is trapped in the thread that they belong to");
  allow_fp(true);
  isb();
  if (here.owner != nullptr) {
    fp_save(*static_cast<FpState*>(here.owner->fp));
    here.owner->extras &= ~kExtraFp;
  }
  fp_load(*static_cast<const FpState*>(self.fp));
  self.extras |= kExtraFp;
  here.owner = &self;
  ++here.traps;
}

void switch_fp(const threads::Context& from, const threads::Context& to) {
  if (((from.extras | to.extras) & kExtraFp) != 0) {
    allow_fp((to.extras & kExtraFp) != 0);
  }
}

void drop_fp(threads::Context& context) {
  if ((context.extras & kExtraFp) != 0) {
    context.extras &= ~kExtraFp;
    cpu_fps[kernel::cpu_index()].owner = nullptr;
    allow_fp(false);
    isb();
  }
}

void drop_fp_here() {
  const kernel::CriticalSection section;
  drop_fp(threads::current_thread().context());
}

FpKeeper::FpKeeper() {
  const kernel::CriticalSection section;
  const threads::Context& self = threads::current_thread().context();
  if ((self.extras & kExtraFp) != 0) {
    fp_save(kept_);
  } else {
    kept_ = *static_cast<const FpState*>(self.fp);
  }
}

FpKeeper::~FpKeeper() {
  const kernel::CriticalSection section;
  const threads::Context& self = threads::current_thread().context();
  if ((self.extras & kExtraFp) != 0) {
    fp_load(kept_);
  } else {
    *static_cast<FpState*>(self.fp) = kept_;
  }
}

std::uint64_t fp_traps() {
  const kernel::CriticalSection section;
  return cpu_fps[kernel::cpu_index()].traps;
}

}  // namespace guest::arch
