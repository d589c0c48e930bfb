// Deferred work: interrupt handlers move data and raise a work item; the loop, a thread, runs the items.
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

class WorkQueue {
 public:
  constexpr WorkQueue() = default;
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// What raise() calls when nothing was raised before: it must end the wait of the loop, or the next one. In raise()'s
  /// context. Once, before the loop runs.
  void set_wake(void (*wake)()) { wake_ = wake; }
  /// Marks `item` to run. From any context, on any CPU; lock-free.
  void raise(WorkItem& item);
  /// Runs the oldest raised item. False: there was none. Only from the loop.
  bool run_one();
  /// True: nothing is raised. Only from the loop (interrupts may add at any time unless masked).
  [[nodiscard]] bool empty() const;
  /// Runs items for ever. `wait` is called when there are none, and returns if set_wake()'s function has been called
  /// since it was called last; it may return at other times too.
  [[noreturn]] void run(void (*wait)());
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
