// Bounded ring of 32-bit values from one producer to one consumer, on any two CPUs, without a lock.
//
//                 head                  tail
//      ............|#####################|............      head <= tail <= head + capacity
//      taken        in the ring           not sent yet
//
// A position is one word: how many elements came before it (48 bits) and the slot of the next one (16 bits). So any
// capacity does without a division, two positions differ by what lies between them, and a position does not come back
// within 2^48 elements: whoever advances the head by compare-exchange cannot be fooled by a ring that went once around.
//
// The producer writes the tail and the consumer the head; each keeps a copy of the other's position in a cache line of
// its own and reads the other's line only when the copy says that there is nothing to do. The producer also reads it
// when the ring, as far as it knows, is as full as never before: that is how the high-water mark is exact, and one
// comparison serves both.
//
// When the oldest element is to make room (push_over()), both advance the head, and both do it by compare-exchange: the
// consumer of such a ring uses pop_contended() and never pop().
//
// Memory order, and why no wake-up is lost: docs/graph.md. tests/ring_model_test.cpp runs this code under every
// interleaving of small instances, with RingOrders as they are and with each of them weakened.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::graph {

/// The memory order of each access that is not relaxed. On AArch64 a sequentially consistent store is the same stlr as
/// a release, and a load the same ldar as an acquire: what the wake-ups need on top costs nothing there.
struct RingOrders {
  /// The tail, when an element was written. Release: with the tail the element is there. Sequentially consistent: the
  /// producer then looks whether the consumer waits.
  static constexpr std::memory_order kPublish = std::memory_order_seq_cst;
  /// The tail, as the consumer reads it before it takes elements. Pairs with kPublish.
  static constexpr std::memory_order kObservePublished = std::memory_order_acquire;
  /// The head, when an element was read. Release: the slot is read before it may be written again. Sequentially
  /// consistent: the consumer then looks whether the producer waits.
  static constexpr std::memory_order kFree = std::memory_order_seq_cst;
  /// The same by compare-exchange, where nobody waits for room.
  static constexpr std::memory_order kFreeContended = std::memory_order_release;
  /// The head, as the producer reads it before it writes into slots. Pairs with kFree and kFreeContended.
  static constexpr std::memory_order kObserveFreed = std::memory_order_acquire;
  /// The head, as the producer finds it when the consumer was faster in taking the oldest element. Pairs with
  /// kFreeContended.
  static constexpr std::memory_order kLoseOldest = std::memory_order_acquire;
  /// "I wait", before the last look at the ring.
  static constexpr std::memory_order kAnnounce = std::memory_order_seq_cst;
  /// That last look.
  static constexpr std::memory_order kLookAgain = std::memory_order_seq_cst;
  /// "Does the other one wait?", after each push or pop.
  static constexpr std::memory_order kCheckWaiter = std::memory_order_seq_cst;
};

/// `Atomic` and `Orders` are parameters for the tests' model; everybody else uses SpscRing.
template <template <typename> typename Atomic, typename Orders>
class BasicSpscRing {
 public:
  using Slot = Atomic<std::uint32_t>;
  static constexpr std::uint32_t kMaxCapacity = 65'535;

  /// `slots` is the storage, one for each element, 1 to kMaxCapacity; the caller's, and outlives the ring. `count`: so
  /// many elements count as pushed and taken already, modulo 2^48; tests begin shortly before the count goes around.
  explicit BasicSpscRing(std::span<Slot> slots, std::uint64_t count = 0) {
    kernel::require(!slots.empty() && slots.size() <= kMaxCapacity, "a ring has 1 to 65535 slots");
    producer_.slots = consumer_.slots = slots.data();
    producer_.capacity = consumer_.capacity = static_cast<std::uint32_t>(slots.size());
    if (count != 0) {
      producer_.limit = consumer_.published = count << kCountShift;
      // Relaxed: nobody else knows of the ring.
      producer_.tail.store(count << kCountShift, std::memory_order_relaxed);
      consumer_.head.store(count << kCountShift, std::memory_order_relaxed);
    }
  }
  BasicSpscRing(const BasicSpscRing&) = delete;
  BasicSpscRing& operator=(const BasicSpscRing&) = delete;

  // ---- producer
  // ------------------------------------------------------------------------------------------------------

  /// push() will find room.
  [[nodiscard]] bool has_room() {
    const std::uint64_t tail = producer_.tail.load(std::memory_order_relaxed);  // nobody else writes it
    return !is_at(tail, producer_.limit) || !is_at(tail, see_limit()) ||
           producer_.crowd >> kCountShift != producer_.capacity;  // the limit is only the most that there ever were
  }

  /// Appends `value`. False: the ring is full, nothing changed.
  [[nodiscard]] bool push(std::uint32_t value) {
    const std::uint64_t tail = producer_.tail.load(std::memory_order_relaxed);  // nobody else writes it
    if (is_at(tail, producer_.limit) && is_at(tail, see_limit()) && !raise_high_water(tail)) [[unlikely]] {
      return false;
    }
    publish(tail, value);
    return true;
  }

  /// Appends `value`; in a full ring the oldest element makes room and is returned, unless the consumer takes it first.
  [[nodiscard]] std::optional<std::uint32_t> push_over(std::uint32_t value) {
    const std::uint64_t tail = producer_.tail.load(std::memory_order_relaxed);  // nobody else writes it
    std::optional<std::uint32_t> oldest;
    if (is_at(tail, producer_.limit) && is_at(tail, see_limit()) && !raise_high_water(tail)) [[unlikely]] {
      oldest = drop_oldest();
    }
    publish(tail, value);
    return oldest;
  }

  /// After a push: true exactly once for each time that the consumer was told to sleep, and maybe once for a time that
  /// it was told to look again. The caller wakes it.
  [[nodiscard]] bool take_waiting_consumer() { return take(producer_.consumer_waits); }

  /// After push() found no room: announces that the producer waits. True: there is still none, and the pop that makes
  /// some will find the announcement: the producer may sleep. False: there is room.
  [[nodiscard]] bool await_room() {
    consumer_.producer_waits.store(1, Orders::kAnnounce);
    order_store_before_load();
    const std::uint64_t tail = producer_.tail.load(std::memory_order_relaxed);  // nobody else writes it
    if (count_between(consumer_.head.load(Orders::kLookAgain), tail) == producer_.capacity) {
      return true;
    }
    consumer_.producer_waits.store(0, std::memory_order_relaxed);  // a wake-up may be on its way all the same
    return false;
  }
  /// await_room() has said true, and no pop has taken that up. By the producer.
  [[nodiscard]] bool producer_waits() const {
    // Relaxed: who takes it up has made room before, which await_room() looks for.
    return consumer_.producer_waits.load(std::memory_order_relaxed) != 0;
  }

  // ---- consumer
  // ------------------------------------------------------------------------------------------------------

  /// pop() will find something; so will pop_contended(), though maybe another element.
  [[nodiscard]] bool has_element() { return something_at(consumer_.head.load(std::memory_order_relaxed)); }

  /// Takes the oldest element. False: the ring is empty, `value` is as it was.
  [[nodiscard]] bool pop(std::uint32_t& value) {
    const std::uint64_t head = consumer_.head.load(std::memory_order_relaxed);  // nobody else writes it
    if (!something_at(head)) [[unlikely]] {
      return false;
    }
    // Relaxed: ordered after the write by kObservePublished, before the next one by kFree.
    value = consumer_.slots[slot_of(head)].load(std::memory_order_relaxed);
    consumer_.head.store(next(head, consumer_.capacity), Orders::kFree);
    return true;
  }

  /// The same where the producer may drop the oldest element: it goes to one of the two. Each further turn of the loop
  /// is an element that the producer sent and another one that it dropped meanwhile. `value` is undefined when nothing
  /// was taken.
  [[nodiscard]] bool pop_contended(std::uint32_t& value) {
    // Relaxed: a head that is out of date fails the exchange, which says where it is by now.
    std::uint64_t head = consumer_.head.load(std::memory_order_relaxed);
    while (something_at(head)) {
      // The producer may be writing here for the second time: then the exchange fails, and the value is of no interest.
      value = consumer_.slots[slot_of(head)].load(std::memory_order_relaxed);
      // Relaxed on failure: nothing was taken.
      if (consumer_.head.compare_exchange_strong(head, next(head, consumer_.capacity), Orders::kFreeContended,
                                                 std::memory_order_relaxed)) [[likely]] {
        return true;
      }
    }
    return false;
  }

  /// After a pop: as take_waiting_consumer(), for the producer.
  [[nodiscard]] bool take_waiting_producer() { return take(consumer_.producer_waits); }

  /// After a pop found nothing: announces that the consumer waits. True: there is still nothing, and the push that
  /// brings something will find the announcement: the consumer may sleep. False: there is something.
  [[nodiscard]] bool await_element() {
    producer_.consumer_waits.store(1, Orders::kAnnounce);
    order_store_before_load();
    // Relaxed: the producer moves it only past elements that it has sent. An old one makes us look again.
    const std::uint64_t head = consumer_.head.load(std::memory_order_relaxed);
    if (!is_before(head, producer_.tail.load(Orders::kLookAgain))) {
      return true;
    }
    producer_.consumer_waits.store(0, std::memory_order_relaxed);  // a wake-up may be on its way all the same
    return false;
  }

  // ---- anybody
  // -------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::uint32_t capacity() const { return producer_.capacity; }
  /// Elements in the ring, at about the time of the call.
  [[nodiscard]] std::uint32_t depth() const {
    // Both sides may have gone on between the two loads, and of a producer that drops, the tail may be of before.
    const std::uint64_t head = consumer_.head.load(std::memory_order_acquire);
    const std::uint64_t tail = producer_.tail.load(std::memory_order_relaxed);
    const std::uint64_t depth = is_before(tail, head) ? 0 : count_between(head, tail);
    return depth < capacity() ? static_cast<std::uint32_t>(depth) : capacity();
  }
  /// Elements that were pushed, and those that were popped or dropped as oldest; modulo 2^48, which is 325 days of ten
  /// million a second.
  [[nodiscard]] std::uint64_t pushed() const { return producer_.tail.load(std::memory_order_relaxed) >> kCountShift; }
  [[nodiscard]] std::uint64_t taken() const { return consumer_.head.load(std::memory_order_relaxed) >> kCountShift; }
  /// The most elements that were in it at a time, as the producer saw it.
  [[nodiscard]] std::uint32_t high_water() const {
    return static_cast<std::uint32_t>(producer_.high_water.load(std::memory_order_relaxed));
  }

 private:
  static constexpr unsigned kCountShift = 16;
  static constexpr std::uint64_t kSlotMask = (std::uint64_t{1} << kCountShift) - 1;
  static constexpr std::uint64_t kOne = std::uint64_t{1} << kCountShift;

  static constexpr std::uint64_t slot_of(std::uint64_t position) { return position & kSlotMask; }
  /// Times 2^16, and so modulo 2^48.
  static constexpr std::uint64_t count_of(std::uint64_t position) { return position & ~kSlotMask; }
  static constexpr std::uint64_t count_between(std::uint64_t from, std::uint64_t to) {
    return (count_of(to) - count_of(from)) >> kCountShift;
  }
  /// The slots do not matter: of two counts that differ, they are less than one.
  static constexpr bool is_before(std::uint64_t one, std::uint64_t other) {
    return static_cast<std::int64_t>(one - other) < 0;
  }
  static constexpr std::uint64_t next(std::uint64_t position, std::uint32_t capacity) {
    const std::uint64_t stepped = position + kOne + 1;
    return slot_of(stepped) == capacity ? stepped - capacity : stepped;
  }

  /// The seq_cst accesses on both sides of it order a store before a later load already: as stlr before ldar. QEMU's
  /// TCG does not keep that order on x86 (it puts barriers before an stlr and behind an ldar, none between them), and
  /// about one wake-up of 30,000 was lost. It does translate this, dmb, into a full barrier.
  static void order_store_before_load() { std::atomic_thread_fence(std::memory_order_seq_cst); }

  static bool take(Atomic<std::uint32_t>& waits) {
    order_store_before_load();  // the caller's push or pop, before the look for who waits
    if (waits.load(Orders::kCheckWaiter) == 0) [[likely]] {
      return false;
    }
    // Relaxed: it says who wakes. What the sleeper finds afterwards comes with the wake-up.
    return waits.exchange(0, std::memory_order_relaxed) != 0;
  }

  static constexpr bool is_at(std::uint64_t tail, std::uint64_t limit) { return !is_before(tail, limit); }
  /// Looks at the head for where the limit is now.
  std::uint64_t see_limit() {
    const std::uint64_t head = consumer_.head.load(Orders::kObserveFreed);
    return producer_.limit = count_of(head) + producer_.crowd;
  }
  /// At a limit that see_limit() has just found: one more is more than the ring ever held, or it is full, which is
  /// false.
  [[gnu::noinline]] bool raise_high_water(std::uint64_t tail) {
    if (producer_.crowd >> kCountShift == producer_.capacity) {
      return false;
    }
    producer_.crowd += kOne;
    producer_.high_water.store(producer_.crowd >> kCountShift, std::memory_order_relaxed);  // a figure; orders nothing
    producer_.limit = count_of(tail) + kOne;
    return true;
  }
  /// In a full ring.
  [[gnu::noinline]] std::optional<std::uint32_t> drop_oldest() {
    std::uint64_t head = consumer_.head.load(Orders::kObserveFreed);
    if (count_between(head, producer_.tail.load(std::memory_order_relaxed)) < producer_.capacity) {
      return std::nullopt;  // the consumer has just taken one
    }
    const std::uint32_t oldest = producer_.slots[slot_of(head)].load(std::memory_order_relaxed);  // written here
    // Success needs no order: what is overwritten next is what this CPU has taken out.
    const bool dropped = consumer_.head.compare_exchange_strong(head, next(head, producer_.capacity),
                                                                Orders::kLoseOldest, Orders::kLoseOldest);
    return dropped ? std::optional(oldest) : std::nullopt;
  }
  void publish(std::uint64_t tail, std::uint32_t value) {
    // Relaxed: ordered before the tail by kPublish, after the last read by kObserveFreed.
    producer_.slots[slot_of(tail)].store(value, std::memory_order_relaxed);
    producer_.tail.store(next(tail, producer_.capacity), Orders::kPublish);
  }

  /// There is an element at `head`.
  [[nodiscard]] bool something_at(std::uint64_t head) {
    if (is_before(head, consumer_.published)) [[likely]] {
      return true;
    }
    consumer_.published = producer_.tail.load(Orders::kObservePublished);
    return is_before(head, consumer_.published);
  }

  struct alignas(kernel::kCacheLineBytes) Producer {
    Atomic<std::uint64_t> tail{0};
    Atomic<std::uint32_t> consumer_waits{0};  ///< the consumer's, written when it waits
    // The producer's own.
    std::uint32_t capacity = 0;
    Slot* slots = nullptr;
    /// How far the tail can go before the head has to be looked at: what was seen of it, and `crowd`.
    std::uint64_t limit = 0;
    std::uint64_t crowd = 0;                   ///< the high-water mark, times 2^16 as count_of()
    std::atomic<std::uint64_t> high_water{0};  ///< for anybody to read
  };
  struct alignas(kernel::kCacheLineBytes) Consumer {
    Atomic<std::uint64_t> head{0};
    Atomic<std::uint32_t> producer_waits{0};  ///< the producer's, written when it waits
    // The consumer's own.
    std::uint32_t capacity = 0;
    Slot* slots = nullptr;
    std::uint64_t published = 0;
  };
  Producer producer_;
  Consumer consumer_;
};

using SpscRing = BasicSpscRing<std::atomic, RingOrders>;
static_assert(sizeof(SpscRing) == 2 * kernel::kCacheLineBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace guest::graph
