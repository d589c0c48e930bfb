#include "guest/arch/user.hpp"

#include "guest/arch/cpu.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/model/esr.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"

namespace guest::arch {
namespace {

/// What TTBR0 points to while a CPU runs no task: walks end at the first level. Read-only, so that nothing can be put
/// into it. EPD0 would do as well, but it may be cached in TLBs, and would be a second register to write.
alignas(kPageBytes) constexpr std::uint64_t empty_table[kTableEntries] = {};

constinit UserTaskHandler* task_handler = nullptr;

std::uint64_t empty_table_pa() {
  std::uint64_t pa = 0;
  kernel::require(physical(empty_table, pa), "the empty table has no address");
  return pa;
}

/// Operand of TLBI by address or ASID. Arm DDI 0487, "TLB maintenance instructions".
namespace tlbi {
using Va = Field<43, 0>;  // in pages
using AsidBits = Field<63, 48>;
}  // namespace tlbi

class Maintenance final : public TranslationMaintenance {
 public:
  void publish() override {
    dsb_ishst();  // the walkers see the entries
    isb();        // and so do this CPU's next instructions
  }
  void write_back_code(std::span<const std::byte> written) override {
    const std::uint64_t line = std::uint64_t{4} << ctr_el0::DminLine::decode(sysreg::CtrEl0::read());
    const auto begin = reinterpret_cast<std::uint64_t>(written.data());  // cache maintenance takes the number
    for (std::uint64_t at = begin - begin % line; at < begin + written.size(); at += line) {
      asm volatile("dc cvau, %0" : : "r"(at) : "memory");
    }
  }
  void publish_code() override {
    // The data is at the point of unification before the instruction caches drop what they have. All of it: the task's
    // addresses are not those that the code was written through, and an instruction cache may look up by address.
    asm volatile("dsb ish\n\tic ialluis\n\tdsb ish\n\tisb" : : : "memory");
  }
  void forget_page(Asid asid, std::uint64_t va) override {
    // The tables above the page stay, so its own entry (vale1) is all that is dropped.
    const std::uint64_t operand = tlbi::AsidBits::encode(raw(asid)) | tlbi::Va::encode(va / kPageBytes);
    asm volatile("dsb ishst\n\ttlbi vale1is, %0\n\tdsb ish\n\tisb" : : "r"(operand) : "memory");
  }
  void forget(Asid asid) override {
    asm volatile("dsb ishst\n\ttlbi aside1is, %0\n\tdsb ish\n\tisb"
                 :
                 : "r"(tlbi::AsidBits::encode(raw(asid)))
                 : "memory");
  }
};

constinit Maintenance maintenance;

}  // namespace

UserFrame initial_user_frame(std::uint64_t entry, std::uint64_t stack_pointer) {
  UserFrame frame{};
  frame.exception.elr = entry;
  frame.exception.sp = stack_pointer;
  frame.exception.spsr = 0;  // EL0t, AArch64, nothing masked
  return frame;
}

void set_user_task_handler(UserTaskHandler& handler) { task_handler = &handler; }

void prepare_for_users() {
  // Many of these are unknown after reset (Arm DDI 0487 says so under each): what is not named here is not allowed. The
  // PMU is pmu.cpp's.
  sysreg::CntkctlEl1::write(cntkctl_el1::El0Vcten::encode(true));  // no timers, no physical counter, no event stream
  sysreg::MdscrEl1::write(mdscr_el1::Tdcc::encode(true));
  sysreg::TpidrroEl0::write(0);
  if (id_aa64pfr0_el1::Amu::decode(sysreg::IdAa64Pfr0El1::read()) != 0) {
    sysreg::AmuserenrEl0::write(0);
  }
  use_no_address_space();
  // The table is there before walks are allowed.
  sysreg::TcrEl1::write(tcr_el1::Epd0::replace(sysreg::TcrEl1::read(), false));
  isb();
}

void use_address_space(std::uint64_t root_pa, Asid asid) {
  sysreg::Ttbr0El1::write(ttbr_el1::value(root_pa, raw(asid)));
  isb();
}

void use_no_address_space() {
  // ASID 0 has no TLB entries.
  sysreg::Ttbr0El1::write(ttbr_el1::value(empty_table_pa(), 0));
  isb();
}

void become_user(UserSide& task) {
  const kernel::CriticalSection section;
  threads::Context& self = threads::current_thread().context();
  kernel::require(self.user == nullptr, "a thread has two user tasks");
  self.user = &task;
  self.extras |= kExtraUser;
  use_address_space(task.root_pa, task.asid);
}

void leave_user() {
  const kernel::CriticalSection section;
  threads::Context& self = threads::current_thread().context();
  self.user = nullptr;
  self.extras &= ~kExtraUser;
  use_no_address_space();
}

UserSide* current_user() { return static_cast<UserSide*>(threads::current_thread().context().user); }

void start_user(std::uint64_t entry, std::uint64_t stack_pointer) {
  UserFrame frame = initial_user_frame(entry, stack_pointer);
  enter_user(frame);
}

void switch_address_space(const threads::Context& from, const threads::Context& to) {
  if ((to.extras & kExtraUser) != 0) {
    const UserSide& task = *static_cast<const UserSide*>(to.user);
    sysreg::Ttbr0El1::write(ttbr_el1::value(task.root_pa, raw(task.asid)));
  } else if ((from.extras & kExtraUser) != 0) {
    sysreg::Ttbr0El1::write(ttbr_el1::value(empty_table_pa(), 0));
  }
}

TranslationMaintenance& translation_maintenance() { return maintenance; }

/// From user_entry.S, interrupts on.
extern "C" void user_exception(UserFrame& frame) {
  kernel::require(task_handler != nullptr, "a user task runs before anybody handles its exceptions");
  switch (exception_class(frame.exception.esr)) {
    case ExceptionClass::Svc:
      task_handler->system_call(frame);
      return;
    case ExceptionClass::FpAccess:
      task_handler->fp_access(frame);
      return;
    default:
      task_handler->fault(frame);
      return;
  }
}

/// From user_entry.S, interrupts masked, after the interrupt's handler.
extern "C" void user_interrupted(UserFrame& frame) { task_handler->interrupted(frame); }

}  // namespace guest::arch
