// Threads. Each belongs to one CPU for its life; what says whether it runs is touched by that CPU only, with interrupts
// masked, so there is no lock around it.
//
//               unpark()                    chosen
//   Blocked ---------------> Ready <------------------> running ---- exit() ---> Exited
//      ^                                                   |
//      +---------------------- park() ---------------------+
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "guest/kernel/format.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/sched/server.hpp"
#include "guest/kernel/threads/context.hpp"
#include "guest/kernel/threads/wait_list.hpp"
#include "guest/kernel/timer.hpp"

namespace guest::threads {

class Dispatcher;
class Mutex;
class Thread;

enum class ThreadState : std::uint8_t {
  Ready,    ///< it runs or wants to
  Blocked,  ///< until somebody unparks it
  Exited,   ///< for good
};
std::string_view to_string(ThreadState state);

/// A counted reference to a thread, null by default. The thread's memory stays while there is one.
class ThreadRef {
 public:
  constexpr ThreadRef() = default;
  explicit ThreadRef(Thread& thread);
  ThreadRef(const ThreadRef& other);
  ThreadRef(ThreadRef&& other) noexcept : thread_(std::exchange(other.thread_, nullptr)) {}
  ThreadRef& operator=(ThreadRef other) noexcept {
    std::swap(thread_, other.thread_);
    return *this;
  }
  ~ThreadRef();
  explicit operator bool() const { return thread_ != nullptr; }
  Thread& operator*() const { return *thread_; }
  Thread* operator->() const { return thread_; }

 private:
  Thread* thread_ = nullptr;
};

struct ThreadOptions {
  static constexpr std::size_t kMaxName = 32;
  std::string_view name;            ///< at most kMaxName bytes, copied
  std::uint32_t cpu = 0;            ///< one that has a dispatcher; with a server, the server's
  sched::Server* server = nullptr;  ///< admitted to that CPU; null: best effort
  /// Raised when the thread has gone (Thread::gone()); null: nothing is.
  kernel::WorkItem* gone = nullptr;
};

/// The base is what its CPU's scheduler knows of it.
class Thread : public sched::Task {
 public:
  using Function = void (*)(void* argument);

  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] std::string_view name() const { return name_.view(); }
  [[nodiscard]] std::uint32_t cpu() const { return cpu_; }
  /// Meaningful on its CPU, or as a snapshot.
  [[nodiscard]] ThreadState state() const { return state_; }

  /// For the platform, on its CPU.
  [[nodiscard]] Context& context() { return context_; }

  /// Asks it to end: what it sleeps or waits in returns at once with the word for that, now and from now on. It ends
  /// itself when it sees it. From any CPU, in threads or interrupts.
  void request_stop();
  /// It has exited, its stack is free, and nothing of it is in its server.
  [[nodiscard]] bool gone() const { return gone_.load(std::memory_order_acquire); }
  [[nodiscard]] bool stop_requested() const { return stop_.load(std::memory_order_relaxed); }
  /// Waits until it has ended and its stack is free. In threads, not in itself.
  void join();

 private:
  friend class Dispatcher;
  friend class Inbox;
  friend class Mutex;
  friend class ThreadRef;
  friend class Threads;
  friend class Waking;

  Thread(const ThreadOptions& options, Function function, void* argument);
  ~Thread() = default;

  // What other CPUs ask its CPU to do with it.
  static constexpr std::uint32_t kPostUnpark = 1;
  static constexpr std::uint32_t kPostInherit = 2;

  Context context_;
  ThreadState state_ = ThreadState::Blocked;
  bool unparked_ = false;  ///< since it parked last: the next park() returns at once
  std::uint32_t cpu_;
  kernel::Timer timeout_;
  // Of its CPU's inbox.
  std::atomic<std::uint32_t> posted_{0};
  Thread* next_posted_ = nullptr;
  std::atomic<bool> stop_{false};
  // Of the mutexes' lock (mutex.cpp).
  Mutex* waits_for_ = nullptr;
  Waiter* waiter_ = nullptr;    ///< of that
  Mutex* contended_ = nullptr;  ///< first of those that it holds and others wait for
  std::atomic<sched::Time> inherited_{sched::kNever};
  // Of the threads' lock (threads.cpp).
  kernel::ListLink<Thread> listed_;
  WaitList joiners_;
  std::atomic<bool> gone_{false};
  kernel::WorkItem* gone_item_;
  Thread* next_dead_ = nullptr;

  std::uint32_t id_ = 0;  ///< 0: an idle thread
  std::atomic<std::uint32_t> references_{1};
  Function function_ = nullptr;
  void* argument_ = nullptr;
  kernel::FixedText<ThreadOptions::kMaxName> name_;
};

}  // namespace guest::threads
