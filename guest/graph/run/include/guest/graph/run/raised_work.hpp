// When a run is over: a count of who is at it, and of work that was raised for somebody and that nobody has taken yet.
//
//   who is at it, and has made something possible          the worker whose that is
//     raise(): the count goes up, then the bit is set        take(): all bits; the count that they came with is the
//              the first bit: wake the worker                        worker's, unless it has one
//                                                            rest(): the count goes down; 0: the run is over. Sleep
//
// The count goes up before there is anything to be taken: the worker may take it, do it and rest before the one who
// raised it comes to its next line. So 0 means that nobody is at it and nothing is raised, and does not change any more
// but by who is not part of the run, and says so (enter()).
//
// tests/raised_work_test.cpp runs this code under every interleaving, and with each memory order weakened.
#pragma once

#include <atomic>
#include <cstdint>

#include "guest/kernel/cpu.hpp"

namespace guest::graph {

/// The memory order of each access that is not relaxed.
struct RaisedWorkOrders {
  /// A bit. Release: with it comes what the worker is to find.
  static constexpr std::memory_order kRaise = std::memory_order_acq_rel;
  /// All bits. Pairs with kRaise.
  static constexpr std::memory_order kTake = std::memory_order_acq_rel;
  /// The count goes down. Release, and acquire for the last one: who finds the run over sees what all have done.
  static constexpr std::memory_order kRest = std::memory_order_acq_rel;
};

/// Of a run. `Atomic` and `Orders` are parameters for the tests' model; everybody else uses BusyCount.
template <template <typename> typename Atomic, typename Orders>
class BasicBusyCount {
 public:
  explicit BasicBusyCount(std::uint32_t count = 0) : count_(count) {}
  /// So many are at it from now on. Before any of them is.
  void restart(std::uint32_t count) { count_.store(count, std::memory_order_relaxed); }

  /// One more is at it, or something more is raised. By who is counted, or is none of the run's.
  void enter() { count_.fetch_add(1, std::memory_order_relaxed); }
  /// One is at it no more. True: nobody is, and nothing is raised.
  [[nodiscard]] bool leave() { return count_.fetch_sub(1, Orders::kRest) == 1; }
  /// One less, but not the last: the caller is counted besides. Orders nothing.
  void take_back() { (void)count_.fetch_sub(1, std::memory_order_relaxed); }
  /// leave() was true, and nobody has entered since.
  [[nodiscard]] bool is_zero() const { return count_.load(std::memory_order_acquire) == 0; }

 private:
  Atomic<std::uint32_t> count_;
};

/// Of a worker: a bit for each of up to 64 things.
template <template <typename> typename Atomic, typename Orders>
class BasicRaisedWork {
 public:
  using Count = BasicBusyCount<Atomic, Orders>;

  /// By who is counted. True: the worker has to be woken.
  [[nodiscard]] bool raise(Count& count, std::uint64_t bit) {
    count.enter();
    if (bits_.fetch_or(bit, Orders::kRaise) == 0) {
      return true;
    }
    count.take_back();  // the worker takes all at once, and they count once
    return false;
  }
  /// What was raised since the last time. By the worker, as rest(); then it is counted, or was.
  [[nodiscard]] std::uint64_t take(Count& count) {
    if (bits_.load(std::memory_order_relaxed) == 0) [[likely]] {
      return 0;
    }
    const std::uint64_t taken = bits_.exchange(0, Orders::kTake);
    if (counted_) {
      count.take_back();  // it is at it already, which counts once
    }
    counted_ = true;
    return taken;
  }
  /// Nothing is left to do. True: nor for anybody else.
  [[nodiscard]] bool rest(Count& count) {
    if (!counted_) {
      return false;
    }
    counted_ = false;
    return count.leave();
  }

 private:
  alignas(kernel::kCacheLineBytes) Atomic<std::uint64_t> bits_{0};
  bool counted_ = true;  ///< the worker is; its own
};

using BusyCount = BasicBusyCount<std::atomic, RaisedWorkOrders>;
using RaisedWork = BasicRaisedWork<std::atomic, RaisedWorkOrders>;

}  // namespace guest::graph
