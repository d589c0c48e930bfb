#include "guest/kernel/threads/threads.hpp"

#include <new>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/threads/wait_list.hpp"
#include "guest/kernel/work.hpp"
#include "reaper.hpp"

namespace guest::threads {

/// All threads but the idle ones. A class, so that Thread can have it as a friend.
class Threads {
 public:
  kernel::Result<ThreadRef> spawn(const ThreadOptions& options, Thread::Function function, void* argument) {
    kernel::require(options.name.size() <= ThreadOptions::kMaxName, "a thread's name is too long");
    if (find_dispatcher(options.cpu) == nullptr) {
      return std::unexpected(kernel::Status::OutOfRange);
    }
    Context context;
    if (!allocate_stack(context)) {
      return std::unexpected(kernel::Status::NoMemory);
    }
    auto* const thread = new (std::nothrow) Thread(options, function, argument);
    if (thread == nullptr) {
      free_stack(context);
      return std::unexpected(kernel::Status::NoMemory);
    }
    ThreadRef reference(*thread);
    thread->context_ = context;
    make_context(thread->context_, Dispatcher::thread_entry);
    Waking waking;
    const kernel::MaskedSpinGuard guard(lock_);
    thread->id_ = ++last_id_;
    all_.push_back(*thread);
    waking.unpark(*thread);
    return reference;
  }

  ThreadRef after(std::uint32_t id) {
    const kernel::SpinGuard guard(lock_);
    Thread* thread = all_.front();
    while (thread != nullptr && thread->id_ <= id) {
      thread = all_.after(*thread);
    }
    return thread == nullptr ? ThreadRef() : ThreadRef(*thread);
  }

  void join(Thread& thread) {
    Waiter waiter;
    kernel::require(&waiter.thread != &thread, "a thread joins itself");
    {
      const kernel::SpinGuard guard(lock_);
      if (thread.gone()) {
        return;
      }
      thread.joiners_.add(waiter);
    }
    (void)wait_for_signal(waiter, thread.joiners_, lock_, kForever, false);
  }

  void bury(Thread& thread) {
    Thread* head = dead_.load(std::memory_order_relaxed);
    do {
      thread.next_dead_ = head;
      // Release pairs with the acquire in run(): all that the thread did.
    } while (!dead_.compare_exchange_weak(head, &thread, std::memory_order_release, std::memory_order_relaxed));
    kernel::work_queue().raise(work_);
  }

  static void drop(Thread& thread, Threads& all) {
    // Acquire-release: whoever drops the last one sees what the others did with the thread.
    if (thread.references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      all.bury(thread);
    }
  }

 private:
  /// A thread is buried twice: when it has left its stack, and when nobody refers to it any more.
  void run() {
    while (Thread* thread = dead_.exchange(nullptr, std::memory_order_acquire)) {
      while (thread != nullptr) {
        Thread& next_dead = *thread;
        thread = next_dead.next_dead_;
        if (next_dead.gone()) {
          delete &next_dead;
        } else {
          leave(next_dead);
        }
      }
    }
  }

  void leave(Thread& thread) {
    free_stack(thread.context_);
    {
      Waking waking;
      const kernel::MaskedSpinGuard guard(lock_);
      all_.remove(thread);
      // Release pairs with the acquire in gone(): whoever finds it gone may reuse what it used.
      thread.gone_.store(true, std::memory_order_release);
      while (thread.joiners_.signal_first(waking)) {
      }
    }
    if (thread.gone_item_ != nullptr) {
      kernel::work_queue().raise(*thread.gone_item_);
    }
    drop(thread, *this);  // its own reference
  }

  kernel::SpinLock lock_{"threads", kernel::LockRank::Threads};
  std::uint32_t last_id_ = 0;
  kernel::IntrusiveList<Thread, &Thread::listed_> all_;  ///< in the order of their ids
  std::atomic<Thread*> dead_{nullptr};
  kernel::WorkItem work_{[](void* self) { static_cast<Threads*>(self)->run(); }, this};
};

namespace {
constinit Threads all_threads;
}  // namespace

void bury(Thread& thread) { all_threads.bury(thread); }
void drop_reference(Thread& thread) { Threads::drop(thread, all_threads); }

kernel::Result<ThreadRef> spawn(const ThreadOptions& options, Thread::Function function, void* argument) {
  return all_threads.spawn(options, function, argument);
}

ThreadRef find_thread(std::uint32_t id) {
  ThreadRef thread = id == 0 ? ThreadRef() : next_thread(id - 1);
  return thread && thread->id() == id ? thread : ThreadRef();
}
ThreadRef next_thread(std::uint32_t id) { return all_threads.after(id); }

ThreadReport report(const Thread& thread) {
  struct Question {
    const Thread& thread;
    ThreadReport answer;
  } question{.thread = thread, .answer = {}};
  const bool asked = call_on(
      thread.cpu(),
      [](void* context) {
        auto& [of, answer] = *static_cast<Question*>(context);
        const Dispatcher& here = *find_dispatcher();
        const bool running = &here.current() == &of;
        // No interrupt comes between the two times, so they are of one moment.
        answer = {
            .state = of.state(), .running = running, .ran = running ? here.current_ran() : of.ran(), .at = here.now()};
      },
      &question);
  kernel::require(asked, "a thread's CPU has gone");
  return question.answer;
}

void Thread::join() { all_threads.join(*this); }

void exit_thread() { dispatcher().exit_current(); }

bool sleep_until(std::uint64_t deadline_ns) {
  Dispatcher& here = dispatcher();
  while (!here.current().stop_requested()) {
    if (here.timers().clock().now_ns() >= deadline_ns) {
      return true;
    }
    here.park_until(deadline_ns);
  }
  return false;
}

bool sleep_for(std::uint64_t duration_ns) {
  const std::uint64_t now_ns = dispatcher().timers().clock().now_ns();
  return sleep_until(duration_ns > kForever - now_ns ? kForever : now_ns + duration_ns);
}

}  // namespace guest::threads
