// RaisedWork's code, and BusyCount's, under every interleaving of a worker and of who raises work for it, and with each
// of their memory orders weakened.
#include "guest/graph/run/raised_work.hpp"

#include <gtest/gtest.h>

#include <string>

#include "../../tests/memory_model.hpp"

namespace guest::graph {
namespace {

using model::Notes;
using model::Scenario;

constexpr std::uint64_t kPieces = 2;

/// Notes::sent: 1 for each piece that was there when its bit was taken, else 0. Notes::received: whenever somebody
/// found the run over, how much he saw to be raised, and done.
template <typename Orders>
struct Subject {
  explicit Subject(std::uint32_t busy) : count(busy) {}

  model::Atomic<std::uint64_t> pieces[kPieces];
  model::Atomic<std::uint64_t> raised;  ///< how many pieces
  model::Atomic<std::uint64_t> done;
  BasicBusyCount<model::Atomic, Orders> count;
  BasicRaisedWork<model::Atomic, Orders> work;
  model::Semaphore worker;

  void raise_all() {
    for (std::uint64_t i = 0; i < kPieces; ++i) {
      pieces[i].store(1, std::memory_order_relaxed);
      if (work.raise(count, std::uint64_t{1} << i)) {
        worker.signal();
      }
    }
    raised.store(kPieces, std::memory_order_relaxed);
  }
  void note_over(Notes& notes) {
    notes.received.push_back(raised.load(std::memory_order_relaxed));
    notes.received.push_back(done.load(std::memory_order_relaxed));
  }
  /// Until all pieces are done.
  void work_and_sleep(Notes& notes) {
    for (std::uint64_t did = 0; !model::Replay::current().stopped();) {
      if (const std::uint64_t bits = work.take(count); bits != 0) {
        for (std::uint64_t i = 0; i < kPieces; ++i) {
          if ((bits >> i & 1) != 0) {
            notes.sent.push_back(pieces[i].load(std::memory_order_relaxed));
            ++did;
          }
        }
        done.store(did, std::memory_order_relaxed);
        continue;
      }
      if (work.rest(count)) {
        note_over(notes);
      }
      if (did == kPieces) {
        return;
      }
      worker.wait();
    }
  }
};

std::string check_work(const Notes& worker) {
  return worker.sent == std::vector<std::uint64_t>{1, 1} ? "" : "a bit was taken and not what it says";
}

/// Another worker raises the pieces, and rests then.
template <typename Orders>
Scenario raised_by_worker() {
  const auto run = [](std::size_t thread, Notes& notes) {
    Subject<Orders> subject(2);
    if (thread == 0) {
      subject.raise_all();
      if (subject.count.leave()) {
        subject.note_over(notes);
      }
    } else if (thread == 1) {
      subject.work_and_sleep(notes);
    }
  };
  const auto check = [](const Notes& raiser, const Notes& worker, const Notes& /*last*/) -> std::string {
    std::vector<std::uint64_t> over = raiser.received;
    over.insert(over.end(), worker.received.begin(), worker.received.end());
    if (over != std::vector<std::uint64_t>{kPieces, kPieces}) {
      return "it was over too early, never, or twice, or looked otherwise";
    }
    return check_work(worker);
  };
  return {.owners = {}, .run = run, .check = check};
}

/// The control loop raises them, which is none of the run's: the run may be over before.
template <typename Orders>
Scenario raised_from_outside() {
  const auto run = [](std::size_t thread, Notes& notes) {
    Subject<Orders> subject(1);
    if (thread == 0) {
      subject.count.enter();
      subject.raise_all();
      if (subject.count.leave()) {
        subject.note_over(notes);
      }
    } else if (thread == 1) {
      subject.work_and_sleep(notes);
    }
  };
  const auto check = [](const Notes& raiser, const Notes& worker, const Notes& /*last*/) -> std::string {
    std::vector<std::uint64_t> over = worker.received;
    over.insert(over.end(), raiser.received.begin(), raiser.received.end());
    if (over.size() == 4 && over[1] == 0) {
      over.erase(over.begin(), over.begin() + 2);  // before anything was raised
    }
    if (over != std::vector<std::uint64_t>{kPieces, kPieces}) {
      return "it was over too early, never, or twice, or looked otherwise";
    }
    return check_work(worker);
  };
  return {.owners = {}, .run = run, .check = check};
}

template <typename Orders>
std::string first_violation() {
  for (const Scenario& scenario : {raised_by_worker<Orders>(), raised_from_outside<Orders>()}) {
    const model::Result result = model::explore(scenario);
    EXPECT_GT(result.states, 0U);
    if (!result.violation.empty()) {
      return result.violation.substr(0, result.violation.find('\n'));
    }
  }
  return "nothing";
}

TEST(RaisedWorkModel, no_wake_up_is_lost_and_the_run_is_over_when_all_is_done) {
  for (const Scenario& scenario : {raised_by_worker<RaisedWorkOrders>(), raised_from_outside<RaisedWorkOrders>()}) {
    const model::Result result = model::explore(scenario);
    EXPECT_EQ(result.violation, "");
    EXPECT_GT(result.ends, 1U);
    RecordProperty("states", static_cast<int>(result.states));
  }
}

struct RaiseAcquire : RaisedWorkOrders {
  static constexpr std::memory_order kRaise = std::memory_order_acquire;
};
struct TakeRelease : RaisedWorkOrders {
  static constexpr std::memory_order kTake = std::memory_order_release;
};
struct RestAcquire : RaisedWorkOrders {
  static constexpr std::memory_order kRest = std::memory_order_acquire;
};
struct RestRelease : RaisedWorkOrders {
  static constexpr std::memory_order kRest = std::memory_order_release;
};

TEST(RaisedWorkModel, each_order_is_needed) {
  EXPECT_EQ(first_violation<RaiseAcquire>(), "a bit was taken and not what it says");
  EXPECT_EQ(first_violation<TakeRelease>(), "a bit was taken and not what it says");
  EXPECT_EQ(first_violation<RestAcquire>(), "it was over too early, never, or twice, or looked otherwise");
  EXPECT_EQ(first_violation<RestRelease>(), "it was over too early, never, or twice, or looked otherwise");
}

}  // namespace
}  // namespace guest::graph
