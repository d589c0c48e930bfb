// SpscRing's code under every interleaving of small instances and every reordering that its memory orders allow; and
// that each of these orders is needed: weakened, it is found out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "guest/graph/spsc_ring.hpp"
#include "memory_model.hpp"

namespace guest::graph {
namespace {

using model::Notes;
using model::Scenario;

constexpr std::uint32_t kMaxCapacity = 3;

template <typename Orders>
struct Subject {
  using Ring = BasicSpscRing<model::Atomic, Orders>;
  explicit Subject(std::uint32_t capacity) : ring({slots, capacity}) {}
  typename Ring::Slot slots[kMaxCapacity];  // locations 0 to 2
  Ring ring;
  model::Semaphore consumer;
  model::Semaphore producer;
};

/// Who stores where: slots, tail, whether the consumer waits, head.
const std::vector<std::size_t> kOwners = {0, 0, 0, 0, model::kThreads, 1};
/// Both move the head.
const std::vector<std::size_t> kOwnersWhenDropping = {0, 0, 0, 0};

bool stopped() { return model::Replay::current().stopped(); }

template <typename Ring>
std::optional<std::uint32_t> pop(Ring& ring) {
  std::uint32_t value = 0;
  return ring.pop(value) ? std::optional(value) : std::nullopt;
}
template <typename Ring>
std::optional<std::uint32_t> pop_contended(Ring& ring) {
  std::uint32_t value = 0;
  return ring.pop_contended(value) ? std::optional(value) : std::nullopt;
}

void note_received(Notes& notes, std::uint32_t value) {
  notes.received.push_back(value);
  notes.kept.push_back(model::Replay::current().last_load_below(kMaxCapacity));
}

std::vector<std::uint64_t> first_numbers(std::uint64_t count) {
  std::vector<std::uint64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::uint64_t{1});
  return numbers;
}

std::vector<std::uint64_t> joined(const std::vector<std::uint64_t>& one, const std::vector<std::uint64_t>& other) {
  std::vector<std::uint64_t> all = one;
  all.insert(all.end(), other.begin(), other.end());
  return all;
}

/// One tries to send so many, the other one to receive so many; nobody waits.
template <typename Orders>
Scenario trying(std::uint32_t capacity, std::uint32_t pushes, std::uint32_t pops) {
  const auto run = [=](std::size_t thread, Notes& notes) {
    Subject<Orders> subject(capacity);
    for (std::uint32_t i = 1; thread == 0 && i <= pushes; ++i) {
      if (subject.ring.push(i)) {
        notes.sent.push_back(i);
      }
    }
    for (std::uint32_t i = 0; thread == 1 && i < pops; ++i) {
      if (const auto value = pop(subject.ring)) {
        note_received(notes, *value);
      }
    }
    while (thread == 2) {
      const auto value = pop(subject.ring);
      if (!value) {
        return;
      }
      notes.received.push_back(*value);
    }
  };
  const auto check = [=](const Notes& producer, const Notes& consumer, const Notes& rest) -> std::string {
    if (producer.sent.size() < std::min(capacity, pushes)) {
      return "an empty ring was full";
    }
    return joined(consumer.received, rest.received) == producer.sent ? "" : "received is not what was sent";
  };
  return {.owners = kOwners, .run = run, .check = check};
}

/// The same where the oldest one makes room.
template <typename Orders>
Scenario dropping(std::uint32_t capacity, std::uint32_t pushes, std::uint32_t pops) {
  const auto run = [=](std::size_t thread, Notes& notes) {
    Subject<Orders> subject(capacity);
    for (std::uint32_t i = 1; thread == 0 && i <= pushes; ++i) {
      if (const auto oldest = subject.ring.push_over(i)) {
        notes.dropped.push_back(*oldest);
      }
    }
    for (std::uint32_t i = 0; thread == 1 && i < pops; ++i) {
      if (const auto value = pop_contended(subject.ring)) {
        note_received(notes, *value);
      }
    }
    while (thread == 2) {
      const auto value = pop_contended(subject.ring);
      if (!value) {
        return;
      }
      notes.received.push_back(*value);
    }
  };
  const auto check = [=](const Notes& producer, const Notes& consumer, const Notes& rest) -> std::string {
    const std::vector<std::uint64_t> received = joined(consumer.received, rest.received);
    std::vector<std::uint64_t> all = joined(received, producer.dropped);
    std::sort(all.begin(), all.end());
    if (all != first_numbers(pushes)) {
      return "not every element went to one of the two";
    }
    if (!std::is_sorted(received.begin(), received.end()) ||
        !std::is_sorted(producer.dropped.begin(), producer.dropped.end())) {
      return "elements passed each other";
    }
    return rest.received.size() <= capacity ? "" : "more than the capacity";
  };
  return {.owners = kOwnersWhenDropping, .run = run, .check = check};
}

/// All are sent and all received; who finds nothing to do sleeps.
template <typename Orders>
Scenario sleeping(std::uint32_t capacity, std::uint32_t elements) {
  const auto run = [=](std::size_t thread, Notes& notes) {
    Subject<Orders> subject(capacity);
    for (std::uint32_t i = 1; thread == 0 && i <= elements; ++i) {
      while (!stopped() && !subject.ring.push(i)) {
        if (subject.ring.await_room()) {
          subject.producer.wait();
        }
      }
      if (subject.ring.take_waiting_consumer()) {
        subject.consumer.signal();
      }
    }
    while (!stopped() && thread == 1 && notes.received.size() < elements) {
      if (const auto value = pop(subject.ring)) {
        note_received(notes, *value);
        if (subject.ring.take_waiting_producer()) {
          subject.producer.signal();
        }
      } else if (subject.ring.await_element()) {
        subject.consumer.wait();
      }
    }
  };
  const auto check = [=](const Notes&, const Notes& consumer, const Notes&) -> std::string {
    return consumer.received == first_numbers(elements) ? "" : "received is not what was sent";
  };
  return {.owners = kOwners, .run = run, .check = check};
}

/// The consumer sleeps, the producer drops. The last element is never dropped.
template <typename Orders>
Scenario sleeping_and_dropping(std::uint32_t capacity, std::uint32_t elements) {
  const auto run = [=](std::size_t thread, Notes& notes) {
    Subject<Orders> subject(capacity);
    for (std::uint32_t i = 1; thread == 0 && i <= elements; ++i) {
      // As a channel does it.
      if (subject.ring.push(i)) {
      } else if (const auto oldest = subject.ring.push_over(i)) {
        notes.dropped.push_back(*oldest);
      }
      if (subject.ring.take_waiting_consumer()) {
        subject.consumer.signal();
      }
    }
    while (!stopped() && thread == 1 && (notes.received.empty() || notes.received.back() != elements)) {
      if (const auto value = pop_contended(subject.ring)) {
        note_received(notes, *value);
      } else if (subject.ring.await_element()) {
        subject.consumer.wait();
      }
    }
  };
  const auto check = [=](const Notes& producer, const Notes& consumer, const Notes&) -> std::string {
    std::vector<std::uint64_t> all = joined(consumer.received, producer.dropped);
    std::sort(all.begin(), all.end());
    return all == first_numbers(elements) ? "" : "not every element went to one of the two";
  };
  return {.owners = kOwnersWhenDropping, .run = run, .check = check};
}

model::Result explore_and_report(const char* name, std::uint32_t capacity, const Scenario& scenario) {
  model::Result result = model::explore(scenario);
  ::testing::Test::RecordProperty(std::string(name) + "_" + std::to_string(capacity) + "_states",
                                  static_cast<int>(result.states));
  std::printf("%s, capacity %u: %zu states, %zu ends, %zu outcomes\n", name, capacity, result.states, result.ends,
              result.outcomes.size());
  return result;
}

class RingModel : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Capacities, RingModel, ::testing::Range(std::uint32_t{1}, kMaxCapacity + 1));

/// Three slots with sleepers are some million states: with SIS_MODEL_DEEP, as `./sis soak ring` has it.
std::uint32_t most_with_sleepers() { return std::getenv("SIS_MODEL_DEEP") == nullptr ? 2 : kMaxCapacity; }
class SleepingRingModel : public RingModel {};
INSTANTIATE_TEST_SUITE_P(Capacities, SleepingRingModel, ::testing::Range(std::uint32_t{1}, most_with_sleepers() + 1));

TEST_P(RingModel, what_is_received_is_what_was_sent) {
  const model::Result result =
      explore_and_report("trying", GetParam(), trying<RingOrders>(GetParam(), GetParam() + 2, GetParam() + 1));
  EXPECT_EQ(result.violation, "");
}

TEST_P(RingModel, every_element_is_received_or_dropped_by_one_of_the_two) {
  const model::Result result =
      explore_and_report("dropping", GetParam(), dropping<RingOrders>(GetParam(), GetParam() + 2, 3));
  EXPECT_EQ(result.violation, "");
}

TEST_P(SleepingRingModel, no_wake_up_is_lost) {
  const model::Result result =
      explore_and_report("sleeping", GetParam(), sleeping<RingOrders>(GetParam(), GetParam() + 1));
  EXPECT_EQ(result.violation, "");
}

TEST_P(SleepingRingModel, no_wake_up_is_lost_while_elements_are_dropped) {
  const model::Result result = explore_and_report("sleeping_and_dropping", GetParam(),
                                                  sleeping_and_dropping<RingOrders>(GetParam(), GetParam() + 1));
  EXPECT_EQ(result.violation, "");
}

/// That the exploration reaches what it is for: nothing and everything received, and both ways in which the oldest one
/// can go.
TEST(RingModelCoverage, extremes_are_among_the_outcomes) {
  const std::set<std::string> outcomes = model::explore(dropping<RingOrders>(1, 2, 2)).outcomes;
  EXPECT_TRUE(outcomes.contains("sent: received: dropped:1 | sent: received: dropped:"));
  EXPECT_TRUE(outcomes.contains("sent: received: dropped:1 | sent: received:2 dropped:"));
  EXPECT_TRUE(outcomes.contains("sent: received: dropped: | sent: received:1 dropped:"));
  EXPECT_TRUE(outcomes.contains("sent: received: dropped: | sent: received:12 dropped:"));
}

// ---- what each order is for -----------------------------------------------------------------------------------------

constexpr std::memory_order kRelaxed = std::memory_order_relaxed;
constexpr std::memory_order kAcquire = std::memory_order_acquire;
constexpr std::memory_order kRelease = std::memory_order_release;

struct PublishRelaxed : RingOrders {
  static constexpr std::memory_order kPublish = kRelaxed;
};
struct PublishRelease : RingOrders {
  static constexpr std::memory_order kPublish = kRelease;
};
struct ObservePublishedRelaxed : RingOrders {
  static constexpr std::memory_order kObservePublished = kRelaxed;
};
struct FreeRelaxed : RingOrders {
  static constexpr std::memory_order kFree = kRelaxed;
};
struct FreeRelease : RingOrders {
  static constexpr std::memory_order kFree = kRelease;
};
struct FreeContendedRelaxed : RingOrders {
  static constexpr std::memory_order kFreeContended = kRelaxed;
};
struct ObserveFreedRelaxed : RingOrders {
  static constexpr std::memory_order kObserveFreed = kRelaxed;
};
struct LoseOldestRelaxed : RingOrders {
  static constexpr std::memory_order kLoseOldest = kRelaxed;
};
struct AnnounceRelaxed : RingOrders {
  static constexpr std::memory_order kAnnounce = kRelaxed;
};
struct AnnounceRelease : RingOrders {
  static constexpr std::memory_order kAnnounce = kRelease;
};
struct LookAgainRelaxed : RingOrders {
  static constexpr std::memory_order kLookAgain = kRelaxed;
};
struct LookAgainAcquire : RingOrders {
  static constexpr std::memory_order kLookAgain = kAcquire;
};
struct CheckWaiterRelaxed : RingOrders {
  static constexpr std::memory_order kCheckWaiter = kRelaxed;
};
struct CheckWaiterAcquire : RingOrders {
  static constexpr std::memory_order kCheckWaiter = kAcquire;
};

/// The first thing that goes wrong with these orders, in rings of one slot.
template <typename Orders>
std::string first_violation() {
  for (const Scenario& scenario : {trying<Orders>(1, 3, 2), dropping<Orders>(1, 3, 2), sleeping<Orders>(1, 2),
                                   sleeping_and_dropping<Orders>(1, 2)}) {
    if (const model::Result result = model::explore(scenario); !result.violation.empty()) {
      return result.violation.substr(0, result.violation.find('\n'));
    }
  }
  return "nothing";
}

/// An element is taken for what was in its slot before, or its slot is written while it is read.
using LosingElements = ::testing::Types<PublishRelaxed, ObservePublishedRelaxed, FreeRelaxed, FreeContendedRelaxed,
                                        ObserveFreedRelaxed, LoseOldestRelaxed>;
template <typename Orders>
class RingThatLosesElements : public ::testing::Test {};
TYPED_TEST_SUITE(RingThatLosesElements, LosingElements);
TYPED_TEST(RingThatLosesElements, is_found) {
  EXPECT_THAT(first_violation<TypeParam>(),
              ::testing::AnyOf("received is not what was sent", "not every element went to one of the two",
                               "location 0 is stored to while it is being read"));
}

/// One sleeps and nobody wakes it.
using LosingWakeUps = ::testing::Types<PublishRelease, FreeRelease, AnnounceRelaxed, AnnounceRelease, LookAgainRelaxed,
                                       LookAgainAcquire, CheckWaiterRelaxed, CheckWaiterAcquire>;
template <typename Orders>
class RingThatLosesWakeUps : public ::testing::Test {};
TYPED_TEST_SUITE(RingThatLosesWakeUps, LosingWakeUps);
TYPED_TEST(RingThatLosesWakeUps, is_found) {
  EXPECT_THAT(first_violation<TypeParam>(), ::testing::MatchesRegex("thread [01] sleeps for ever"));
}

TEST(RingAsItIs, has_nothing_to_find) { EXPECT_EQ(first_violation<RingOrders>(), "nothing"); }

}  // namespace
}  // namespace guest::graph
