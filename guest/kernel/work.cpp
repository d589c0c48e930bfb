#include "guest/kernel/work.hpp"

#include "guest/kernel/trace.hpp"

namespace guest::kernel {

void WorkQueue::raise(WorkItem& item) {
  // Acquire-release: the second raiser's data must be visible to the run that the first raise caused, so the exchange
  // is ordered both with that raiser's writes and with the exchange in run_one().
  if (item.raised_.exchange(true, std::memory_order_acq_rel)) {
    return;
  }
  WorkItem* head = raised_.load(std::memory_order_relaxed);
  do {
    item.next_ = head;
    // Release pairs with the acquire in collect(): the loop sees next_ and all that the raiser wrote before.
  } while (!raised_.compare_exchange_weak(head, &item, std::memory_order_release, std::memory_order_relaxed));
  // Who finds something raised need not wake: whoever raised it has, or is about to, and the loop takes all at once.
  if (head == nullptr && wake_ != nullptr) {
    wake_();
  }
}

void WorkQueue::collect() {
  WorkItem* newest = raised_.exchange(nullptr, std::memory_order_acquire);
  while (newest != nullptr) {
    WorkItem* const item = newest;
    newest = item->next_;
    item->next_ = run_list_;
    run_list_ = item;
  }
}

bool WorkQueue::run_one() {
  if (run_list_ == nullptr) {
    collect();
    if (run_list_ == nullptr) {
      return false;
    }
  }
  WorkItem& item = *run_list_;
  run_list_ = item.next_;
  item.next_ = nullptr;
  // Cleared before the call: a raise during the call runs the item again. The item may free itself in its function, so
  // it is not touched afterwards.
  const WorkItem::Function function = item.function_;
  void* const context = item.context_;
  item.raised_.exchange(false, std::memory_order_acq_rel);
  ++runs_;
  const auto address = reinterpret_cast<std::uintptr_t>(function);  // only to be shown
  trace().record(TraceType::WorkBegin, 0, address);
  function(context);
  trace().record(TraceType::WorkEnd, 0, address);
  return true;
}

bool WorkQueue::empty() const { return run_list_ == nullptr && raised_.load(std::memory_order_acquire) == nullptr; }

void WorkQueue::run(void (*wait)()) {
  for (;;) {
    while (run_one()) {
    }
    wait();
  }
}

WorkQueue& work_queue() {
  static constinit WorkQueue queue;
  return queue;
}

}  // namespace guest::kernel
