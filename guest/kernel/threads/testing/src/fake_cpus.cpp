#include "guest/kernel/threads/testing/fake_cpus.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "guest/kernel/host_cpu.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/host_context.hpp"
#include "guest/kernel/work.hpp"

namespace guest::threads {
namespace {

std::uint64_t clock_ns = 0;

class FakeTimer final : public kernel::HardwareTimer {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return clock_ns; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
  void set_deadline(std::uint64_t deadline_ns) override { deadline = deadline_ns; }
  std::uint64_t deadline = kernel::kNoDeadline;
};

struct FakeCpu {
  FakeTimer timer;
  kernel::TimerQueue timers{timer, kernel::work_queue()};
  sched::StolenCounter stolen{0};
  Dispatcher dispatcher{timers, sched::kDefaultBound, &stolen};
  bool kicked = false;
};

std::array<std::unique_ptr<FakeCpu>, 2>& cpus() {
  static std::array<std::unique_ptr<FakeCpu>, 2> all = [] {
    set_host_kick([](std::uint32_t cpu) { cpus()[cpu]->kicked = true; });
    set_host_spin([] { work(kSpinNs); });
    std::array<std::unique_ptr<FakeCpu>, 2> made;
    for (std::uint32_t i = 0; i < made.size(); ++i) {
      const kernel::HostCpu number(i);
      made[i] = std::make_unique<FakeCpu>();
    }
    return made;
  }();
  return all;
}

FakeCpu& this_cpu() { return *cpus()[kernel::cpu_index()]; }

/// Takes the interrupts that are pending on this CPU.
void take_interrupts() {
  FakeCpu& cpu = this_cpu();
  if (!cpu.kicked && cpu.timer.deadline > clock_ns) {
    return;
  }
  const kernel::CriticalSection masked;
  cpu.dispatcher.enter_interrupt();
  if (std::exchange(cpu.kicked, false)) {
    cpu.dispatcher.run_inbox();
  }
  if (cpu.timer.deadline <= clock_ns) {
    cpu.timer.deadline = kernel::kNoDeadline;
    cpu.timers.on_interrupt();
  }
  cpu.dispatcher.leave_interrupt();
}

}  // namespace

void start_cpus() { cpus(); }
std::uint64_t now_ns() { return clock_ns; }

void work(std::uint64_t ns) {
  while (ns > 0) {
    take_interrupts();
    const std::uint64_t until = this_cpu().timer.deadline;
    const std::uint64_t step = until <= clock_ns ? 0 : std::min(ns, until - clock_ns);
    clock_ns += step;
    ns -= step;
  }
  take_interrupts();
}

void steal(std::uint64_t ns) {
  clock_ns += ns;
  this_cpu().stolen += ns;
  take_interrupts();
}

void run_until_idle(std::uint32_t cpu) {
  cpus();
  const kernel::HostCpu number(cpu);
  for (;;) {
    take_interrupts();
    if (kernel::work_queue().run_one()) {
      continue;
    }
    const std::uint64_t next = this_cpu().timer.deadline;
    if (next == kernel::kNoDeadline) {
      return;
    }
    clock_ns = std::max(clock_ns, next);
  }
}

ThreadRef start(std::string_view name, std::function<void()> body, std::uint32_t cpu, sched::Server* server) {
  cpus();
  auto* const owned = new std::function<void()>(std::move(body));
  const kernel::CriticalSection nothing_runs_yet;
  const auto thread = spawn(
      {.name = name, .cpu = cpu, .server = server},
      [](void* argument) {
        const std::unique_ptr<std::function<void()>> mine(static_cast<std::function<void()>*>(argument));
        (*mine)();
      },
      owned);
  kernel::require(thread.has_value(), "a thread of a test does not start");
  return *thread;
}

void admit(sched::Server& server) {
  cpus();
  kernel::require(find_dispatcher(0)->admissions().admit(server).verdict == sched::Verdict::Admitted,
                  "a server of a test is not admitted");
}

}  // namespace guest::threads
