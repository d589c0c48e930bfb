#include "guest/kernel/threads/dispatcher.hpp"

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/trace.hpp"
#include "reaper.hpp"

namespace guest::threads {
namespace detail {
constinit std::atomic<Dispatcher*> dispatchers[kernel::kMaxCpus] = {};

void refuse_threads() { kernel::panic("threads are used on a CPU that has not begun with them"); }
}  // namespace detail

bool Inbox::push(Thread& thread) {
  Thread* newest = newest_.load(std::memory_order_relaxed);
  do {
    thread.next_posted_ = newest;
    // Release pairs with the acquire in take(): the link, and what the sender wrote before.
  } while (!newest_.compare_exchange_weak(newest, &thread, std::memory_order_release, std::memory_order_relaxed));
  return newest == nullptr;
}

Thread* Inbox::take() {
  Thread* newest = newest_.exchange(nullptr, std::memory_order_acquire);
  Thread* oldest = nullptr;
  while (newest != nullptr) {
    Thread* const next = newest->next_posted_;
    newest->next_posted_ = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

Dispatcher::Dispatcher(kernel::TimerQueue& timers, sched::Ppm bound, const sched::StolenCounter* stolen)
    : current_(&idle_),
      timers_(timers),
      scheduler_(bound, stolen),
      idle_({.name = "idle", .cpu = kernel::cpu_index()}, nullptr, nullptr) {
  adopt_stack(idle_.context_);
  idle_.state_ = ThreadState::Ready;
  timers_.set_event_function([](void* self) { static_cast<Dispatcher*>(self)->reschedule_ = true; }, this);
  kernel::require(find_dispatcher() == nullptr, "a CPU has two dispatchers");
  kernel::cpu_data().dispatcher = this;
  detail::dispatchers[kernel::cpu_index()].store(this, std::memory_order_release);
}

/// Interrupts are masked. Clock and counter of one moment, or the time that a thread has had would seem to go back.
Dispatcher::Moment Dispatcher::moment_without_stolen() const {
  for (;;) {
    const std::optional<std::uint64_t> stolen_ns = scheduler_.stolen().total_ns();
    const sched::Time at = now();
    const Moment found{.now = at, .ran = scheduler_.running_ran(at)};
    if (scheduler_.stolen().total_ns() == stolen_ns) [[likely]] {
      return found;
    }
  }
}

void Dispatcher::run_inbox() {
  Thread* thread = inbox_.take();
  while (thread != nullptr) {
    // Before posted_ is cleared and the thread may be posted anew.
    Thread& posted = *thread;
    thread = posted.next_posted_;
    // Acquire pairs with the release in Waking: what is asked for is seen.
    const std::uint32_t what = posted.posted_.exchange(0, std::memory_order_acq_rel);
    if ((what & Thread::kPostInherit) != 0) {
      inherit(posted);
    }
    if ((what & Thread::kPostUnpark) != 0) {
      unpark(posted, now());
    }
    drop_reference(posted);
  }
}

void Dispatcher::inherit(Thread& thread) {
  scheduler_.inherit(thread, thread.inherited_.load(std::memory_order_relaxed));
  reschedule_ = true;
}

inline void Dispatcher::switch_to(Thread& next) {
  Thread& previous = *current_;
  current_ = &next;
  switches_.store(switches_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (kernel::trace().on()) [[unlikely]] {
    kernel::trace().record(kernel::TraceType::ThreadSwitch, previous.id_, next.id_);
  }
  if ((previous.context_.extras | next.context_.extras) != 0) [[unlikely]] {
    switch_extras(previous.context_, next.context_);
  }
  switch_context(previous.context_, next.context_);
  // As `previous` again, some switches later.
  finish_switch();
}

/// The CPU goes to `task`, null: to nobody, since choose() has said so. Inline in each of the three ways there: the
/// registers that a call saves are a tenth of a switch.
[[gnu::always_inline]] inline void Dispatcher::run(sched::Task* task) {
  reschedule_ = false;
  static_assert(static_cast<std::uint64_t>(sched::kNever) == kernel::kNoDeadline);
  timers_.set_event(static_cast<std::uint64_t>(scheduler_.next_event()));
  // Every task that is woken here is a thread's.
  Thread& next = task == nullptr ? idle_ : static_cast<Thread&>(*task);
  if (&next != current_) {
    switch_to(next);
  }
}

void Dispatcher::reschedule(sched::Time now) { run(scheduler_.choose(now)); }

void Dispatcher::bury_exited() { bury(*std::exchange(exited_, nullptr)); }

void Dispatcher::yield() {
  const kernel::CriticalSection section;
  kernel::require(!in_interrupt_, "an interrupt handler yields");
  if (!idle()) {
    const sched::Time at = now();
    scheduler_.yield(at);
    run(scheduler_.choose_charged(at));
  }
}

void Dispatcher::park() {
  const kernel::CriticalSection section;
  kernel::require(!in_interrupt_ && !idle(), "an interrupt handler or the idle thread waits");
  kernel::require(!kernel::holds_spin_lock(), "a thread waits while it holds a spin lock");
  Thread& thread = *current_;
  if (thread.unparked_) {
    thread.unparked_ = false;
    return;
  }
  thread.state_ = ThreadState::Blocked;
  kernel::trace().record(kernel::TraceType::ThreadBlock, thread.id_);
  const sched::Time at = now();
  scheduler_.block(thread, at);
  run(scheduler_.choose_charged(at));
}

void Dispatcher::park_until(std::uint64_t deadline_ns) {
  if (deadline_ns >= kernel::kNoDeadline) {
    park();
    return;
  }
  const kernel::CriticalSection section;
  kernel::Timer& timeout = current_->timeout_;
  timers_.arm(timeout, deadline_ns);
  park();
  timers_.cancel(timeout);
}

void Dispatcher::on_timeout(void* thread) {
  Dispatcher& here = *find_dispatcher();
  here.unpark(*static_cast<Thread*>(thread), static_cast<sched::Time>(here.timers_.interrupt_ns()));
}

void Dispatcher::exit_current() {
  kernel::mask_interrupts();
  kernel::require(!in_interrupt_ && !idle(), "an interrupt handler or the idle thread exits");
  drop_extras(current_->context_);
  current_->state_ = ThreadState::Exited;
  exited_ = current_;
  const sched::Time at = now();
  scheduler_.block(*current_, at);
  reschedule(at);
  kernel::panic("a thread that has exited runs");
}

void Dispatcher::post(Thread& thread, std::uint32_t what) {
  // Release pairs with the acquire in run_inbox(): what is asked for is seen by who takes the bit. Only the first bit
  // puts the thread in the inbox, and only the first thread there has to tell the CPU, which takes all at once.
  if (thread.posted_.fetch_or(what, std::memory_order_acq_rel) == 0) {
    thread.references_.fetch_add(1, std::memory_order_relaxed);  // the inbox's
    if (inbox_.push(thread)) {
      kick(thread.cpu_);
    }
  }
}

void Waking::unpark_elsewhere(Thread& thread) { find_dispatcher(thread.cpu_)->post(thread, Thread::kPostUnpark); }

void Waking::inherit(Thread& thread, sched::Time deadline) {
  thread.inherited_.store(deadline, std::memory_order_relaxed);
  Dispatcher& target = *find_dispatcher(thread.cpu_);
  if (&target == find_dispatcher()) {
    here_ = &target;
    woken_at_ = target.now();
    target.inherit(thread);
  } else {
    target.post(thread, Thread::kPostInherit);
  }
}

}  // namespace guest::threads
