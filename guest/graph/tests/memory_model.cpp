#include "memory_model.hpp"

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

#include "guest/kernel/panic.hpp"

namespace guest::graph::model {
namespace {

constexpr std::size_t kLast = kThreads;  ///< the thread that runs alone, after the others

bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}
bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}

template <typename Array>
void join(Array& into, const Array& other) {
  for (std::size_t i = 0; i < into.size(); ++i) {
    into[i] = std::max(into[i], other[i]);
  }
}

template <typename Array, typename T>
void append(Array& array, const T& value) {
  kernel::require(array.push_back(value), "an exploration that is too long for its arrays");
}

/// What a read-modify-write that always succeeds makes of `before`.
std::uint64_t result_of(const Access& access, std::uint64_t before) {
  switch (access.kind) {
    case Kind::Add:
      return before + access.value;
    case Kind::Or:
      return before | access.value;
    default:
      return access.value;
  }
}

/// An access of one thread, being made in one of the ways that it may be.
class Step {
 public:
  Step(World& world, std::size_t thread)
      : world_(world), thread_(world.threads[thread]), index_(thread), access_(*thread_.next) {
    ++thread_.clock[index_];
  }

  void read(std::uint8_t store, std::memory_order order) {
    const Message& message = stores()[store];
    std::uint8_t& known = thread_.view[access_.location];
    known = std::max(known, store);
    if (acquires(order)) {
      join(thread_.view, message.view);
      join(thread_.clock, message.clock);
    }
    agree(store, order);
  }
  /// `after`: the store that a read-modify-write has read, whose release goes on through it.
  void write(std::uint64_t value, std::memory_order order, const Message* after) {
    const auto store = static_cast<std::uint8_t>(stores().size());
    thread_.view[access_.location] = store;
    Message message{.value = value,
                    .view = {},
                    .clock = {},
                    .written_at = thread_.clock,
                    .thread = static_cast<std::uint8_t>(index_)};
    message.view[access_.location] = store;
    if (releases(order)) {
      message.view = thread_.view;
      message.clock = thread_.clock;
    }
    if (after != nullptr) {
      join(message.view, after->view);
      join(message.clock, after->clock);
    }
    append(stores(), message);
    agree(store, order);
  }
  void log(std::uint64_t value, std::uint8_t store, bool succeeded) {
    append(thread_.log, Done{.access = access_, .value = value, .store = store, .succeeded = succeeded});
  }
  void read_modify_write(std::uint64_t value, std::memory_order order) {
    const auto newest = static_cast<std::uint8_t>(stores().size() - 1);
    const Message before = stores()[newest];
    read(newest, order);
    write(value, order, &before);
    log(before.value, newest, true);
  }

 private:
  Stores& stores() { return world_.memory[access_.location]; }
  void agree(std::uint8_t store, std::memory_order order) {
    if (order == std::memory_order_seq_cst) {
      world_.agreed[access_.location] = std::max(world_.agreed[access_.location], store);
    }
  }

  World& world_;
  Thread& thread_;
  std::size_t index_;
  Access access_;
};

std::string describe(const Done& done) {
  static constexpr const char* kKinds[] = {"load",   "store", "exchange", "add", "or", "compare-exchange",
                                           "signal", "wait"};
  const Access& access = done.access;
  std::string text =
      std::string(kKinds[static_cast<std::size_t>(access.kind)]) + " @" + std::to_string(access.location);
  if (access.kind == Kind::Store || (access.kind == Kind::CompareExchange && done.succeeded)) {
    text += " := " + std::to_string(access.value);
  }
  if (access.kind != Kind::Store) {
    text += " read " + std::to_string(done.value) + (done.succeeded ? "" : ", failed");
  }
  return text;
}

std::string text_of(const Notes& notes) {
  std::string text;
  const auto add = [&](const char* name, const std::vector<std::uint64_t>& values) {
    text += std::string(text.empty() ? "" : " ") + name + ":";
    for (const std::uint64_t value : values) {
      text += std::to_string(value);
    }
  };
  add("sent", notes.sent);
  add("received", notes.received);
  add("dropped", notes.dropped);
  return text;
}

/// Two hashes: states that are taken for each other by mistake are not to be expected in any number of runs.
class Digest {
 public:
  void add(std::uint64_t value) {
    one_ = (one_ ^ value) * 0x9E37'79B9'7F4A'7C15U;
    one_ ^= one_ >> 29;
    two_ = (two_ + value) * 0xC2B2'AE3D'27D4'EB4FU;
    two_ ^= two_ >> 31;
  }
  template <std::size_t Size>
  void add_all(const std::array<std::uint8_t, Size>& values) {
    std::uint64_t packed = 0;
    for (std::size_t i = 0; i < Size; ++i) {
      packed = packed << 8 | values[i];
      if (i % 8 == 7 || i + 1 == Size) {
        add(packed);
      }
    }
  }
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> value() const { return {one_, two_}; }

 private:
  std::uint64_t one_ = 1;
  std::uint64_t two_ = 2;
};

std::pair<std::uint64_t, std::uint64_t> digest(const World& world) {
  Digest digest;
  for (const auto& stores : world.memory) {
    digest.add(stores.size());
    for (const Message& message : stores) {
      digest.add(message.value);
      digest.add(message.thread);
      digest.add_all(message.view);
      digest.add_all(message.clock);
      digest.add_all(message.written_at);
    }
  }
  digest.add_all(world.agreed);
  for (const Thread& thread : world.threads) {
    digest.add_all(thread.view);
    digest.add_all(thread.clock);
    digest.add(thread.log.size());
    for (const Done& done : thread.log) {
      digest.add(done.store * 2U + (done.succeeded ? 1 : 0));  // the value follows from that
    }
  }
  return digest.value();
}

class Explorer {
 public:
  explicit Explorer(const Scenario& scenario) : scenario_(scenario) {}

  Result run() {
    World world;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      (void)replay(world, thread);
    }
    visit(world);
    result_.states = seen_.size();
    return std::move(result_);
  }

 private:
  /// Runs a thread up to its next access.
  Notes replay(World& world, std::size_t thread) {
    Notes notes;
    const Replay replay(thread == kLast ? nullptr : &world.threads[thread].log, world.memory);
    scenario_.run(thread, notes);
    if (thread != kLast) {
      world.threads[thread].next = replay.next();
    }
    return notes;
  }

  void visit(const World& world) {
    if (!result_.violation.empty() || !seen_.insert(digest(world)).second) {
      return;
    }
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      if (world.threads[thread].next && is_its_own(thread, *world.threads[thread].next)) {
        (void)advance(world, thread);
        return;
      }
    }
    bool moved = false;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      moved = (world.threads[thread].next && advance(world, thread)) || moved;
    }
    if (!moved) {
      end(world);
    }
  }

  /// The access has one result and says nothing to the other thread, whenever it is made.
  [[nodiscard]] bool is_its_own(std::size_t thread, const Access& access) const {
    return access.kind == Kind::Load && access.order == std::memory_order_relaxed &&
           access.location < scenario_.owners.size() && scenario_.owners[access.location] == thread;
  }

  void check_owner(std::size_t thread, const Access& access) {
    if (access.kind != Kind::Load && access.location < scenario_.owners.size() &&
        scenario_.owners[access.location] != kThreads && scenario_.owners[access.location] != thread) {
      kernel::panic("a location is stored to by who does not own it");
    }
  }

  /// Goes on from all that the thread's next access may do. False: it may do nothing, now.
  bool advance(const World& world, std::size_t thread) {
    const Access& access = *world.threads[thread].next;
    check_owner(thread, access);
    const Stores& stores = world.memory[access.location];
    const std::uint64_t newest = stores[stores.size() - 1].value;
    switch (access.kind) {
      case Kind::Load:
        read_any(world, thread, access.order, std::nullopt);
        return true;
      case Kind::Store:
        take(world, thread, [&](Step& step) {
          step.write(access.value, access.order, nullptr);
          step.log(0, 0, true);
        });
        return true;
      case Kind::Exchange:
      case Kind::Add:
      case Kind::Or:
        take(world, thread, [&](Step& step) { step.read_modify_write(result_of(access, newest), access.order); });
        return true;
      case Kind::CompareExchange:
        if (newest == access.expected) {
          take(world, thread, [&](Step& step) { step.read_modify_write(access.value, access.order); });
        }
        read_any(world, thread, access.failure, access.expected);
        return true;
      case Kind::Signal:
        take(world, thread, [&](Step& step) { step.read_modify_write(newest + 1, std::memory_order_acq_rel); });
        return true;
      case Kind::Wait:
        if (newest != 0) {
          take(world, thread, [&](Step& step) { step.read_modify_write(newest - 1, std::memory_order_acq_rel); });
        }
        return newest != 0;
    }
    return false;
  }

  /// Reads each value that may be read, but not `except`.
  void read_any(const World& world, std::size_t thread, std::memory_order order, std::optional<std::uint64_t> except) {
    const std::size_t location = world.threads[thread].next->location;
    std::uint8_t oldest = world.threads[thread].view[location];
    if (order == std::memory_order_seq_cst) {
      oldest = std::max(oldest, world.agreed[location]);
    }
    for (std::uint8_t store = oldest; store < world.memory[location].size(); ++store) {
      const std::uint64_t value = world.memory[location][store].value;
      if (value != except) {
        take(world, thread, [&](Step& step) {
          step.read(store, order);
          step.log(value, store, !except);
        });
      }
    }
  }

  template <typename Make>
  void take(const World& world, std::size_t thread, const Make& make) {
    if (depth_ == worlds_.size()) {
      worlds_.emplace_back();
    }
    World& next = worlds_[depth_++];
    next = world;
    Step step(next, thread);
    make(step);
    (void)replay(next, thread);
    visit(next);
    --depth_;
  }

  void end(World world) {
    std::string violation;
    Notes notes[kThreads + 1];
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      if (world.threads[thread].next) {
        violation = "thread " + std::to_string(thread) + " sleeps for ever";
      }
      notes[thread] = replay(world, thread);
    }
    if (violation.empty()) {
      violation = unordered_read(world, notes);
    }
    if (violation.empty()) {
      notes[kLast] = replay(world, kLast);
      violation = scenario_.check(notes[0], notes[1], notes[kLast]);
    }
    ++result_.ends;
    result_.outcomes.insert(text_of(notes[0]) + " | " + text_of(notes[1]));
    if (!violation.empty()) {
      result_.violation = violation + "\n" + trace(world);
    }
  }

  /// A value that was kept must have been read before the location was stored to again: in the order of happens-before,
  /// not only in the course of this exploration.
  static std::string unordered_read(const World& world, const Notes (&notes)[kThreads + 1]) {
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      for (const std::size_t place : notes[thread].kept) {
        const Done& read = world.threads[thread].log[place];
        const Stores& stores = world.memory[read.access.location];
        for (std::size_t store = read.store + std::size_t{1}; store < stores.size(); ++store) {
          if (stores[store].thread != thread && stores[store].written_at[thread] <= place) {
            return "location " + std::to_string(read.access.location) + " is stored to while it is being read";
          }
        }
      }
    }
    return {};
  }

  static std::string trace(const World& world) {
    std::string text;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      text += "thread " + std::to_string(thread) + ":\n";
      for (const Done& done : world.threads[thread].log) {
        text += "  " + describe(done) + "\n";
      }
    }
    return text;
  }

  struct PairHash {
    std::size_t operator()(const std::pair<std::uint64_t, std::uint64_t>& pair) const { return pair.first; }
  };

  const Scenario& scenario_;
  Result result_;
  /// One for each step of the way to where the exploration is; they stay where they are.
  std::deque<World> worlds_;
  std::size_t depth_ = 0;
  std::unordered_set<std::pair<std::uint64_t, std::uint64_t>, PairHash> seen_;
};

}  // namespace

std::size_t Replay::add_location(std::uint64_t value) {
  if (locations_ == memory_.size()) {  // the first run of all
    append(memory_, Stores());
    append(memory_[locations_], Message{.value = value, .view = {}, .clock = {}, .written_at = {}, .thread = kThreads});
  }
  return locations_++;
}

Done Replay::perform(const Access& access) {
  if (log_ == nullptr) {
    return perform_now(access);
  }
  if (position_ == log_->size()) {
    if (!next_) {
      next_ = access;
    }
    return {.access = access, .value = access.expected, .store = 0, .succeeded = true};
  }
  return (*log_)[position_++];
}

Done Replay::perform_now(const Access& access) {
  Stores& stores = memory_[access.location];
  const Message newest = stores[stores.size() - 1];
  const bool succeeds = access.kind != Kind::CompareExchange || newest.value == access.expected;
  if (access.kind != Kind::Load && succeeds) {
    Message message = newest;
    message.value = result_of(access, newest.value);
    append(stores, message);
  }
  return {.access = access, .value = newest.value, .store = 0, .succeeded = succeeds};
}

std::size_t Replay::last_load_below(std::size_t locations) const {
  for (std::size_t place = position_; place > 0; --place) {
    const Access& access = (*log_)[place - 1].access;
    if (access.kind == Kind::Load && access.location < locations) {
      return place - 1;
    }
  }
  kernel::require(stopped(), "nothing was loaded");
  return 0;
}

Result explore(const Scenario& scenario) { return Explorer(scenario).run(); }

}  // namespace guest::graph::model
