// Runs two threads of real code under every interleaving, and with every value that the C++ memory model lets a load
// return: what ring_model_test.cpp checks SpscRing with.
//
// The code is a template over its atomic type, and here that is model::Atomic. A thread runs until its next access to
// one of these; the explorer then tries everything that the access may do, one after the other, and goes on from each.
// A thread is run again from its start for every step, with the results so far given back to it: code and data that
// only it uses are then as they were, without anything that could save and restore them.
//
// The memory is not a value for each location but all that were ever stored there. A thread may read any of them that
// is not older than what it knows of (its view); what it knows of grows by its own accesses and, where an acquire reads
// from a release, by what the other one knew. So loads and stores of different locations pass each other in any way
// that no order forbids. Sequentially consistent accesses to a location also agree on how far it has got. This is the
// model of C++20 ([atomics.order]) with two restrictions. A load does not read what is stored after it in the course
// of an exploration (no load buffering): Notes::kept is for that, which demands more, that such a store happen after
// the load. And a location's stores are ordered as they are made, which is exact where one thread stores, or both by
// read-modify-writes.
//
// O. Lahav, V. Vafeiadis, J. Kang, C.-K. Hur, D. Dreyer: Repairing sequential consistency in C/C++11, PLDI 2017.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "guest/kernel/bounded_array.hpp"

namespace guest::graph::model {

inline constexpr std::size_t kThreads = 2;
inline constexpr std::size_t kMaxLocations = 12;

/// For each location, the oldest store that may still be read.
using View = std::array<std::uint8_t, kMaxLocations>;
/// For each thread, how many of its accesses happen before.
using Clock = std::array<std::uint8_t, kThreads>;

enum class Kind : std::uint8_t { Load, Store, Exchange, Add, Or, CompareExchange, Signal, Wait };

struct Access {
  Kind kind;
  std::size_t location;
  std::uint64_t value = 0;     ///< to be stored, added, or set
  std::uint64_t expected = 0;  ///< of CompareExchange
  std::memory_order order = std::memory_order_relaxed;
  std::memory_order failure = std::memory_order_relaxed;
};

/// An access that was made: what it read, and which store of its location that was.
struct Done {
  Access access;
  std::uint64_t value;
  std::uint8_t store;
  bool succeeded;
};

/// A store that was made.
struct Message {
  std::uint64_t value;
  View view;         ///< what an acquire learns
  Clock clock;       ///< the same, as time
  Clock written_at;  ///< the time of who stored it
  std::uint8_t thread;
};
/// In place, as a log is: states are copied all the time. Too many panic.
using Stores = kernel::BoundedArray<Message, 16>;
using Log = kernel::BoundedArray<Done, 64>;
using Memory = kernel::BoundedArray<Stores, kMaxLocations>;

struct Thread {
  View view{};
  Clock clock{};
  Log log;
  std::optional<Access> next;  ///< nothing: it has ended
};

struct World {
  Memory memory;
  View agreed{};  ///< how far sequentially consistent accesses have got
  Thread threads[kThreads];
};

/// What the code under test makes its accesses through: gives back the results of the log, then notes the next access.
/// From there on nothing that the code does is of interest, and no access does anything: loops must look at stopped().
/// (To stop it by an exception costs ten times as much under ASan.)
class Replay {
 public:
  /// `log` null: sequential, on the newest values of `memory`.
  Replay(const Log* log, Memory& memory) : log_(log), memory_(memory) { current_ = this; }
  ~Replay() { current_ = nullptr; }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  static Replay& current() { return *current_; }
  std::size_t add_location(std::uint64_t value);
  Done perform(const Access& access);
  [[nodiscard]] bool stopped() const { return next_.has_value(); }
  /// The access at which it stopped; nothing: the code ran to its end.
  [[nodiscard]] const std::optional<Access>& next() const { return next_; }
  /// The last load of a location below `locations` among the results so far: its place in the log.
  [[nodiscard]] std::size_t last_load_below(std::size_t locations) const;

 private:
  [[nodiscard]] Done perform_now(const Access& access);

  static inline Replay* current_ = nullptr;
  const Log* log_;
  Memory& memory_;
  std::optional<Access> next_;
  std::size_t position_ = 0;
  std::size_t locations_ = 0;
};

template <typename T>
class Atomic {
 public:
  Atomic() : Atomic(T{}) {}
  explicit Atomic(T value) : location_(Replay::current().add_location(value)) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  [[nodiscard]] T load(std::memory_order order) const {
    return static_cast<T>(perform({.kind = Kind::Load, .location = location_, .order = order}).value);
  }
  void store(T value, std::memory_order order) {
    (void)perform({.kind = Kind::Store, .location = location_, .value = value, .order = order});
  }
  T exchange(T value, std::memory_order order) {
    const Access access{.kind = Kind::Exchange, .location = location_, .value = value, .order = order};
    return static_cast<T>(perform(access).value);
  }
  T fetch_add(T value, std::memory_order order) { return modify(Kind::Add, value, order); }
  T fetch_sub(T value, std::memory_order order) { return modify(Kind::Add, -std::uint64_t{value}, order); }
  T fetch_or(T value, std::memory_order order) { return modify(Kind::Or, value, order); }
  bool compare_exchange_strong(T& expected, T value, std::memory_order success, std::memory_order failure) {
    const Done done = perform({.kind = Kind::CompareExchange,
                               .location = location_,
                               .value = value,
                               .expected = expected,
                               .order = success,
                               .failure = failure});
    expected = static_cast<T>(done.value);
    return done.succeeded;
  }

 private:
  static Done perform(const Access& access) { return Replay::current().perform(access); }
  T modify(Kind kind, std::uint64_t value, std::memory_order order) {
    return static_cast<T>(perform({.kind = kind, .location = location_, .value = value, .order = order}).value);
  }
  std::size_t location_;
};

/// What a thread sleeps on: wait() goes on when there was a signal() for it. A thread that can never go on is reported.
class Semaphore {
 public:
  Semaphore() : location_(Replay::current().add_location(0)) {}
  void signal() { (void)Replay::current().perform({.kind = Kind::Signal, .location = location_}); }
  void wait() { (void)Replay::current().perform({.kind = Kind::Wait, .location = location_}); }

 private:
  std::size_t location_;
};

/// What a run of a thread has to tell.
struct Notes {
  std::vector<std::uint64_t> sent;
  std::vector<std::uint64_t> received;
  std::vector<std::uint64_t> dropped;
  /// Places in the log of loads whose values were kept: whoever stores there later must do so after them, by the order
  /// of happens-before. Then no compiler and no CPU can let the load see that store.
  std::vector<std::size_t> kept;
};

struct Scenario {
  /// Locations to which only one thread stores, the first ones: who; kThreads: both do. That thread's loads from there
  /// are of no interest to the other one, so it need not be tried what that does before them. Checked.
  std::vector<std::size_t> owners;
  /// Makes the objects anew and runs the thread 0 or 1; 2 runs alone, after both have ended.
  std::function<void(std::size_t thread, Notes& notes)> run;
  /// Empty, or what is wrong with the end of an exploration.
  std::function<std::string(const Notes& first, const Notes& second, const Notes& last)> check;
};

struct Result {
  std::string violation;  ///< empty: none; else the first one, with the accesses that led there
  std::size_t states = 0;
  std::size_t ends = 0;            ///< different ones
  std::set<std::string> outcomes;  ///< what the threads told, as text
};

/// Explores all of `scenario`, until the first violation.
Result explore(const Scenario& scenario);

}  // namespace guest::graph::model
