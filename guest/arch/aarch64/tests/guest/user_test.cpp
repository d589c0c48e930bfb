// Programs at EL0 without threads: an image of its own, run by tests/guest/test_user.py. Its boot archive holds
// programs and a file "run" of command lines. Each is loaded, run to its end or its fault, and destroyed, one after the
// other; checks of the accesses to their memory come first. With the boot argument "pan" it reads a task's memory as if
// it were its own.
//
//   RUN <command line>
//   <program>: <what it prints>
//   EXIT <status>  |  a fault report, KILLED  |  REFUSED <error>
#include <algorithm>
#include <array>
#include <cstring>

#include "abi/console.hpp"
#include "boot_console.hpp"
#include "boot_interrupts.hpp"
#include "boot_memory.hpp"
#include "checks.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/arch/user.hpp"
#include "guest/arch/user_access.hpp"
#include "guest/kernel/archive.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/timer.hpp"
#include "guest/process/fault_report.hpp"
#include "guest/process/syscalls.hpp"
#include "guest/process/task_console.hpp"
#include "guest/process/user_space.hpp"

namespace guest {
namespace {

constinit kernel::MachineInfo machine;
constinit kernel::Archive archive;
constinit process::AsidPool asids;

constexpr std::uint64_t kTaskPages = 300;
/// Tasks are interrupted this often.
constexpr std::uint64_t kTickNs = 100'000;
/// A task that is interrupted more often loops. Counted, since time passes for other reasons too on a host that is
/// busy.
constexpr unsigned kMaxInterrupts = 5000;
constexpr arch::StackSlot kTaskStack{200};

process::UserSpaceParts parts() { return {kernel::kernel_pages(), asids, arch::translation_maintenance()}; }

// ---- one task -----------------------------------------------------------------------------------------------------

void rearm(void*);
/// Arms itself again, so that it comes wherever the last one came: at EL0, or in the kernel.
constinit kernel::Timer tick(rearm, nullptr);

void rearm(void*) { kernel::timers().arm(tick, arch::clock_now_ns() + kTickNs); }

void trap_fp(bool trapped) {
  using namespace arch::cpacr_el1;
  arch::sysreg::CpacrEl1::write(FpenBits::encode(trapped ? Fpen::TrapEl0 : Fpen::NoTrap));
  arch::isb();
}

class Task final : public process::TaskServices {
 public:
  Task(process::UserSpace& space, std::string_view name, std::uint32_t pid)
      : space_(space), name_(name), pid_(pid), console_(kernel::log(), name) {}

  /// Runs the program until it is through.
  void run();

  /// Back to run(), from the task's kernel stack.
  [[noreturn]] void leave() { __builtin_longjmp(return_point_, 1); }
  void fault(const arch::UserFrame& frame);
  void interrupted();

  std::size_t copy_from_user(std::span<std::byte> to, std::uint64_t from) override {
    return arch::copy_from_user(to, from);
  }
  std::size_t copy_to_user(std::uint64_t to, std::span<const std::byte> from) override {
    return arch::copy_to_user(to, from);
  }
  [[nodiscard]] std::uint32_t pid() const override { return pid_; }
  void write_console(std::string_view bytes) override { console_.write(bytes); }
  [[nodiscard]] std::uint64_t now_ns() const override { return arch::clock_now_ns(); }
  [[nodiscard]] std::uint64_t unix_time_at_reset_ns() const override { return 0; }
  [[nodiscard]] std::uint64_t cpu_time_ns() const override { return now_ns() - started_ns_; }
  void sleep_until(std::uint64_t deadline_ns) override {
    while (now_ns() < deadline_ns) {
      arch::wfi();  // the next tick ends it
    }
  }
  void yield() override {}
  std::uint64_t brk(std::uint64_t wanted) override { return space_.brk(wanted); }
  process::TaskLlm* llm(std::uint64_t) override { return nullptr; }
  void exit(std::uint8_t status) override {
    console_.flush();
    kernel::log_error("EXIT {}", unsigned{status});
    leave();
  }

  unsigned fp_traps = 0;
  unsigned interrupts = 0;

 private:
  process::UserSpace& space_;
  std::string_view name_;
  std::uint32_t pid_;
  process::TaskConsole console_;
  std::uint64_t started_ns_ = 0;
  void* return_point_[5] = {};
};

constinit Task* current = nullptr;

bool interrupts_masked() { return (arch::sysreg::Daif::read() & arch::daif::I::encode(true)) != 0; }

class Handler final : public arch::UserTaskHandler {
 public:
  void system_call(arch::UserFrame& frame) override {
    kernel::require(!interrupts_masked(), "a system call with interrupts masked");
    std::uint64_t(&x)[31] = frame.exception.x;
    x[0] = process::system_call({.number = x[8], .values = {x[0], x[1], x[2], x[3], x[4], x[5]}}, *current);
  }
  void fp_access(arch::UserFrame&) override {
    ++current->fp_traps;
    trap_fp(false);
  }
  void fault(arch::UserFrame& frame) override {
    kernel::require(!interrupts_masked(), "a task's fault with interrupts masked");
    current->fault(frame);
  }
  void interrupted(arch::UserFrame&) override {
    kernel::require(interrupts_masked(), "the end of an interrupt with interrupts on");
    current->interrupted();
  }
};
constinit Handler handler;

void Task::run() {
  started_ns_ = arch::clock_now_ns();
  current = this;
  trap_fp(true);
  arch::use_address_space(space_.root_pa(), space_.asid());
  if (__builtin_setjmp(return_point_) == 0) {
    // At the top of a kernel stack of its own, as each task's thread has one.
    auto* const frame = reinterpret_cast<arch::UserFrame*>(arch::stack_top(kTaskStack) - sizeof(arch::UserFrame));
    *frame = arch::initial_user_frame(space_.entry(), space_.stack_pointer());
    rearm(nullptr);
    arch::enter_user(*frame);
  }
  arch::unmask_irq();
  arch::use_no_address_space();
  trap_fp(false);
  kernel::timers().cancel(tick);
  current = nullptr;
  while (kernel::work_queue().run_one()) {
  }
}

void Task::fault(const arch::UserFrame& frame) {
  console_.flush();
  const arch::ExceptionFrame& exception = frame.exception;
  kernel::Log::Line line(kernel::log());
  process::write_fault(
      line, pid_, name_,
      {.esr = exception.esr, .far = exception.far, .pc = exception.elr, .sp = exception.sp, .x = exception.x}, space_);
  line.write("KILLED");
  line.~Line();  // leave() does not unwind
  leave();
}

void Task::interrupted() {
  ++interrupts;
  if (interrupts == kMaxInterrupts) {
    kernel::log_error("KILLED: it looped, {} interrupts", interrupts);
    leave();
  }
}

// ---- command lines ------------------------------------------------------------------------------------------------

using Words = kernel::BoundedArray<std::string_view, 8>;

Words split(std::string_view text, char separator) {
  Words words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    kernel::require(end == 0 || words.push_back(text.substr(0, end)), "too many words");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::span<const std::byte> program(std::string_view name) {
  const auto file = archive.find(name);
  kernel::require(file.has_value(), "a program is not in the archive");
  return file->data;
}

/// Runs one command line; false: it did not give back all of its pages, or its interrupts were not handled.
bool run_line(std::string_view command, std::uint32_t pid) {
  kernel::log_error("RUN {}", command);
  const Words words = split(command, ' ');
  const std::uint64_t before = kernel::kernel_pages().statistics().used_pages;
  {
    process::UserSpace space(parts(), kTaskPages);
    if (const kernel::Outcome outcome = space.load(program(words[0]), {words.begin(), words.size()}); !outcome) {
      kernel::log_error("REFUSED {}: {}", outcome.error().name, outcome.error().detail.view());
    } else {
      Task task(space, words[0], pid);
      task.run();
      kernel::log_error("FP-TRAPS {}", task.fp_traps);
    }
  }
  return kernel::kernel_pages().statistics().used_pages == before;
}

/// Every line of "run"; the number of those after which something was left behind.
unsigned run_all() {
  std::string_view lines{reinterpret_cast<const char*>(program("run").data()), program("run").size()};
  unsigned failures = 0;
  for (std::uint32_t pid = 1; !lines.empty(); ++pid) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    if (!run_line(lines.substr(0, end), pid)) {
      kernel::log_error("TEST gives_back_every_page FAILED");
      ++failures;
    }
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return failures;
}

// ---- access to a task's memory ------------------------------------------------------------------------------------

/// The address space of a program that does not run, in use on this CPU while this lives.
class Loaded {
 public:
  explicit Loaded(std::string_view name) : space(parts(), kTaskPages) {
    kernel::require(space.load(program(name), {}).has_value(), "a program cannot be loaded");
    arch::use_address_space(space.root_pa(), space.asid());
  }
  ~Loaded() { arch::use_no_address_space(); }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  process::UserSpace space;
};

constexpr std::size_t kLengths[] = {0,  1,  2,  3,  7,  8,  9,  15,  16,  17,  31,
                                    32, 33, 39, 40, 63, 64, 65, 100, 127, 129, 200};
constexpr std::size_t kBuffer = 256;
std::array<std::byte, kBuffer> kernel_side;

std::byte pattern(std::size_t i) { return static_cast<std::byte>(i * 7 + 3); }
void fill(std::byte value) { kernel_side.fill(value); }
void fill_pattern() {
  for (std::size_t i = 0; i < kBuffer; ++i) {
    kernel_side[i] = pattern(i);
  }
}

/// Each length at each alignment of either side: exactly the bytes, nothing beyond.
unsigned copies_are_exact() {
  const Loaded loaded("hello");
  constexpr std::uint64_t kBase = process::kUserStackBottom + 64;
  for (const std::size_t length : kLengths) {
    for (std::size_t offset = 0; offset < 16; ++offset) {
      std::byte around[kBuffer + 32] = {};
      EXPECT(arch::copy_to_user(kBase - 16, around) == sizeof(around));
      fill_pattern();
      EXPECT(arch::copy_to_user(kBase + offset, std::span(kernel_side).subspan(1, length)) == length);
      EXPECT(arch::copy_from_user(around, kBase - 16) == sizeof(around));
      for (std::size_t i = 0; i < sizeof(around); ++i) {
        const std::size_t at = i - 16 - offset;
        EXPECT(around[i] == (at < length ? pattern(at + 1) : std::byte{0}));
      }
      fill(std::byte{0xee});
      EXPECT(arch::copy_from_user(std::span(kernel_side).subspan(16 - offset, length), kBase + offset) == length);
      for (std::size_t i = 0; i < kBuffer; ++i) {
        const std::size_t at = i - (16 - offset);
        EXPECT(kernel_side[i] == (at < length ? pattern(at + 1) : std::byte{0xee}));
      }
    }
  }
  return 0;
}

/// The stack ends where nothing is mapped: a copy that reaches beyond ends at that very byte.
unsigned copies_end_where_the_tasks_memory_ends() {
  const Loaded loaded("hello");
  for (const std::size_t length : kLengths) {
    for (std::size_t room = 0; room <= length; ++room) {
      const std::uint64_t at = process::kUserStackTop - room;
      fill_pattern();
      EXPECT(arch::copy_to_user(at, std::span(kernel_side).first(length)) == room);
      fill(std::byte{0xee});
      EXPECT(arch::copy_from_user(std::span(kernel_side).first(length), at) == room);
      for (std::size_t i = 0; i < kBuffer; ++i) {
        EXPECT(kernel_side[i] == (i < room ? pattern(i) : std::byte{0xee}));
      }
    }
  }
  return 0;
}

unsigned copies_have_the_tasks_rights() {
  const Loaded loaded("hello");
  const std::uint64_t code = loaded.space.entry();
  std::byte word[8] = {};
  EXPECT(arch::copy_from_user(word, code) == sizeof(word));
  EXPECT(std::any_of(std::begin(word), std::end(word), [](std::byte byte) { return byte != std::byte{0}; }));
  EXPECT(arch::copy_to_user(code, word) == 0);
  return 0;
}

/// Null, the kernel's memory in all of its mappings, and ranges that wrap.
unsigned addresses_that_are_no_users_are_refused() {
  const Loaded loaded("hello");
  const auto image = reinterpret_cast<std::uint64_t>(kernel_side.data());
  std::uint64_t pa = 0;
  EXPECT(arch::physical(kernel_side.data(), pa));
  const std::uint64_t addresses[] = {0,
                                     8,
                                     image,
                                     arch::kDirectMapBase + pa,
                                     arch::kUserEnd - 1,
                                     arch::kUserEnd,
                                     std::uint64_t{1} << 48,
                                     std::uint64_t{1} << 56 | loaded.space.entry(),  // a tag is no part of an address
                                     ~std::uint64_t{0}};
  for (const std::uint64_t address : addresses) {
    std::byte bytes[64] = {};
    fill_pattern();
    EXPECT(arch::copy_from_user(bytes, address) == 0);
    EXPECT(arch::copy_to_user(address, bytes) == 0);
    EXPECT(bytes[0] == std::byte{0} && kernel_side[0] == pattern(0));
  }
  return 0;
}

unsigned without_a_task_every_user_address_faults() {
  std::uint64_t entry = 0;
  std::byte word[8] = {};
  {
    const Loaded loaded("hello");
    entry = loaded.space.entry();
    EXPECT(arch::copy_from_user(word, entry) == sizeof(word));
    arch::use_no_address_space();
    EXPECT(arch::copy_from_user(word, entry) == 0);  // its ASID is not in use: what the TLB has of it does not count
  }
  EXPECT(arch::copy_from_user(word, entry) == 0);
  return 0;
}

unsigned memory_that_was_given_back_is_forgotten() {
  Loaded loaded("hello");
  const std::uint64_t heap = loaded.space.brk(0);
  const std::byte mark[8] = {std::byte{1}};
  EXPECT(loaded.space.brk(heap + 2 * arch::kPageBytes) == heap + 2 * arch::kPageBytes);
  EXPECT(arch::copy_to_user(heap, mark) == sizeof(mark));
  EXPECT(arch::copy_to_user(heap + arch::kPageBytes, mark) == sizeof(mark));
  EXPECT(loaded.space.brk(heap + arch::kPageBytes) == heap + arch::kPageBytes);
  EXPECT(arch::copy_to_user(heap + arch::kPageBytes, mark) == 0);
  EXPECT(arch::copy_to_user(heap, mark) == sizeof(mark));
  return 0;
}

/// An emulator's TLB may forget an address space whenever another one is put into use. So this one stays in use, which
/// an owner would not do, while its table loses a page.
unsigned address_space_that_is_given_up_is_forgotten() {
  process::TaskPages pages(kernel::kernel_pages(), 10);
  arch::UserTable table(pages);
  const auto asid = asids.take();
  EXPECT(asid.has_value());
  EXPECT(table.map(process::kUserBegin, pages.allocate(), arch::Access::ReadWrite) == arch::MapStatus::Ok);
  arch::translation_maintenance().publish();
  arch::use_address_space(table.root_pa(), *asid);
  std::byte word[8] = {};
  EXPECT(arch::copy_from_user(word, process::kUserBegin) == sizeof(word));
  pages.free(table.unmap(process::kUserBegin));
  arch::translation_maintenance().forget(*asid);
  EXPECT(arch::copy_from_user(word, process::kUserBegin) == 0);
  arch::use_no_address_space();
  table.clear();
  asids.give_back(*asid);
  EXPECT(pages.used() == 0);
  return 0;
}

/// Two address spaces with one identifier after each other: the second does not see the first one's pages.
unsigned identifier_that_is_used_again_starts_anew() {
  const std::uint64_t at = process::kUserStackBottom;
  std::uint64_t first = 0;
  std::byte word[8] = {};
  {
    const Loaded loaded("hello");
    first = raw(loaded.space.asid());
    std::memset(word, 0x55, sizeof(word));
    EXPECT(arch::copy_to_user(at, word) == sizeof(word));
  }
  // The pages of the first are taken meanwhile, so that the second has others.
  const auto taken = kernel::kernel_pages().allocate_pages(200);
  EXPECT(taken.has_value());
  {
    const Loaded loaded("hello");
    EXPECT(raw(loaded.space.asid()) == first);
    EXPECT(arch::copy_from_user(word, at) == sizeof(word));
    EXPECT(word[0] == std::byte{0});
  }
  kernel::kernel_pages().free(*taken);
  return 0;
}

unsigned fault_in_a_copy_leaves_the_interrupt_mask_as_it_was() {
  const Loaded loaded("hello");
  std::byte word[8] = {};
  EXPECT(arch::copy_from_user(word, 0x1'0000) == 0);
  EXPECT(!interrupts_masked());
  arch::mask_irq();
  const std::size_t copied = arch::copy_from_user(word, 0x1'0000);
  const bool still = interrupts_masked();
  arch::unmask_irq();
  EXPECT(copied == 0 && still);
  return 0;
}

constexpr NamedCheck kChecks[] = {
    {"copies_are_exact", copies_are_exact},
    {"copies_end_where_the_tasks_memory_ends", copies_end_where_the_tasks_memory_ends},
    {"copies_have_the_tasks_rights", copies_have_the_tasks_rights},
    {"addresses_that_are_no_users_are_refused", addresses_that_are_no_users_are_refused},
    {"without_a_task_every_user_address_faults", without_a_task_every_user_address_faults},
    {"memory_that_was_given_back_is_forgotten", memory_that_was_given_back_is_forgotten},
    {"address_space_that_is_given_up_is_forgotten", address_space_that_is_given_up_is_forgotten},
    {"identifier_that_is_used_again_starts_anew", identifier_that_is_used_again_starts_anew},
    {"fault_in_a_copy_leaves_the_interrupt_mask_as_it_was", fault_in_a_copy_leaves_the_interrupt_mask_as_it_was},
};

/// Per 4 KiB, in instructions under -icount shift=0.
void measure_copies() {
  const Loaded loaded("hello");
  constexpr unsigned kRounds = 16;  // the counter ticks every 16 ns
  const std::uint64_t at = process::kUserStackBottom;
  static std::array<std::byte, 4096> page;
  const std::uint64_t start = arch::clock_now_ns();
  for (unsigned i = 0; i < kRounds; ++i) {
    static_cast<void>(arch::copy_from_user(page, at));
  }
  const std::uint64_t middle = arch::clock_now_ns();
  for (unsigned i = 0; i < kRounds; ++i) {
    static_cast<void>(arch::copy_to_user(at, page));
  }
  const std::uint64_t end = arch::clock_now_ns();
  kernel::log().metric("copy_from_user_4k_ns", (middle - start) / kRounds);
  kernel::log().metric("copy_to_user_4k_ns", (end - middle) / kRounds);
}

/// What no kernel code may do: PAN stops it, on CPUs that have it.
void read_as_if_it_were_ours() {
  const Loaded loaded("hello");
  // Volatile: the read is what matters.
  const auto* const stack = reinterpret_cast<const volatile char*>(process::kUserStackBottom);
  kernel::log_error("READ {}", unsigned{static_cast<unsigned char>(*stack)});
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  kernel::require(arch::init_clock(0), "the clock does not run");
  kernel::require(kernel::read_machine_info(arch::dtb(), machine).has_value(), "the device tree is not readable");
  kernel::require(start_console(machine.console) != nullptr, "no console");
  start_memory(machine);
  start_interrupts(machine);
  kernel::require(archive.open({arch::direct(machine.initrd.begin()), machine.initrd.size}).has_value(),
                  "the archive is not readable");
  const auto stack = kernel::kernel_pages().allocate_pages(arch::kStackSize / arch::kPageBytes);
  kernel::require(stack && arch::map_stack(kTaskStack, kernel::raw(*stack)) == arch::MapStatus::Ok,
                  "no stack for the tasks");
  arch::set_user_task_handler(handler);
  arch::unmask_irq();
  if (machine.boot_arguments.view() == "pan") {
    read_as_if_it_were_ours();
  }
  const unsigned failures = run_checks(kChecks);
  measure_copies();
  arch::exit_machine(abi::console::kKindShutdown, failures + run_all());
}

}  // namespace guest
