// Deferred work: interrupt handlers move data and raise a work item; the main loop runs the items.
//
//   interrupt ---raise()---> [stack of raised items] ---take all, reverse---> [run list] ---> fn(context)
//
// Items run in the order in which they were raised, one at a time, with interrupts on. An item that is raised again
// before it has started runs once; raised while it runs, it runs once more.
#pragma once

#include <atomic>
#include <cstdint>

namespace guest::kernel {

/// One thing to do, owned by its module, linked into the queue while raised; it must outlive that. Not copyable.
class WorkItem {
 public:
  using Function = void (*)(void* context);
  constexpr WorkItem(Function function, void* context) : function_(function), context_(context) {}
  WorkItem(const WorkItem&) = delete;
  WorkItem& operator=(const WorkItem&) = delete;

 private:
  friend class WorkQueue;
  Function function_;
  void* context_;
  WorkItem* next_ = nullptr;
  std::atomic<bool> raised_ = false;
};

/// How the loop waits; the hardware's part of "no lost wake-up".
class IdleWaiter {
 public:
  /// Masks interrupts; if `has_work(queue)` is still false waits for one; unmasks, so that its handler runs. Checking
  /// with interrupts masked is what keeps an interrupt between the check and the wait from being slept through.
  virtual void wait_unless(bool (*has_work)(const void* queue), const void* queue) = 0;

 protected:
  ~IdleWaiter() = default;
};

class WorkQueue {
 public:
  constexpr WorkQueue() = default;
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// What raise() calls when nothing was raised before: it must end the wait of the loop if that is on another CPU. On
  /// the loop's own CPU there is nothing to do: whoever raises there keeps it awake. In raise()'s context. Once, before
  /// other CPUs run.
  void set_wake(void (*wake)()) { wake_ = wake; }
  /// Marks `item` to run. From any context, on any CPU; lock-free.
  void raise(WorkItem& item);
  /// Runs the oldest raised item. False: there was none. Only from the loop.
  bool run_one();
  /// True: nothing is raised. Only from the loop (interrupts may add at any time unless masked).
  [[nodiscard]] bool empty() const;
  /// Runs items for ever, waiting when there are none.
  [[noreturn]] void run(IdleWaiter& idle);
  /// Items run since boot.
  [[nodiscard]] std::uint64_t runs() const { return runs_; }

 private:
  void collect();

  std::atomic<WorkItem*> raised_ = nullptr;  ///< newest first
  WorkItem* run_list_ = nullptr;             ///< oldest first; only the loop touches it
  std::uint64_t runs_ = 0;
  void (*wake_)() = nullptr;
};

/// The loop's queue.
WorkQueue& work_queue();

}  // namespace guest::kernel
