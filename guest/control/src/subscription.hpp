// What a client follows: an operation that sends events until it is cancelled, has sent as many as were asked for, or
// what it follows is gone. Then it answers {events, lost, end}: how many were sent and lost, and "count", "gone" or
// "frozen".
//
//   interval, Caller's room, wake() --> turn, from the loop --> on_turn() --> send() --> Caller::emit()
//
// What finds no room is counted, and the next event says how much that was, as "lost".
#pragma once

#include <cstdint>
#include <new>
#include <string_view>
#include <utility>

#include "guest/control/command.hpp"
#include "guest/control/services.hpp"
#include "handlers.hpp"

namespace guest::control {

/// Owns itself. In the loop's thread, on its CPU; only wake() is for anywhere.
class Subscription : public Operation {
 public:
  static constexpr std::uint64_t kEndless = ~std::uint64_t{0};
  struct Limits {
    std::uint64_t interval_ns;       ///< from one due turn to the next; 0: none is due
    std::uint64_t count = kEndless;  ///< of events, after which it ends; at least 1
  };
  /// Of the arguments `interval_ms`, if the command has one that was given, and `count`.
  static Limits limits_of(const Arguments& arguments, std::uint64_t interval_ms);

  /// The first turn follows from the loop. Once.
  void start(Caller& caller);
  void cancel() final;
  void on_room() final { wake(); }

 protected:
  Subscription(Services& services, const Limits& limits) : services_(services), limits_(limits) {}
  virtual ~Subscription() = default;

  /// There may be something to send. `due`: the interval has passed; so it has at the first turn.
  virtual void on_turn(bool due) = 0;
  /// The last call: lets go of what is followed, so that nobody calls wake() any more.
  virtual void on_end() {}

  [[nodiscard]] Services& services() const { return services_; }
  /// Another turn. From any context, on any CPU, until on_end().
  void wake() { services_.work.raise(turn_); }
  /// send() will have room, and more is wanted.
  [[nodiscard]] bool can_send();
  /// How many more are wanted.
  [[nodiscard]] std::uint64_t left() const { return limits_.count - sent_; }
  /// Sends an event: `write` adds its entries to a ResultMap. It counts as `items`, at most left(). False: it found no
  /// room, and is counted as lost. From on_turn() only.
  template <typename Write>
  bool send(Write&& write, std::uint64_t items = 1) {
    if (!can_send()) {
      lose(items);
      return false;
    }
    CborWriter writer(event_memory());
    ResultMap event(writer);
    if (tells_all_lost_ || untold_ != 0) {
      event.add("lost", tells_all_lost_ ? lost_ : untold_);
    }
    std::forward<Write>(write)(event);
    event.finish();
    return emit(writer, items);
  }
  /// So much more was lost, in what the command counts.
  void lose(std::uint64_t items) {
    lost_ += items;
    untold_ += items;
  }
  /// Each event says how much was lost in all so far.
  void tell_all_lost() { tells_all_lost_ = true; }
  /// What is followed is gone, or `why` else there will be no more. After on_turn(), or in the next turn, the answer
  /// says so. `why`: static storage.
  void end_as(std::string_view why) {
    end_ = why;
    wake();
  }
  void end_as_gone() { end_as("gone"); }

 private:
  static std::span<std::byte> event_memory();
  bool emit(const CborWriter& writer, std::uint64_t items);
  void turn();
  void arm(std::uint64_t now_ns);
  void answer();
  Caller* detach();

  Services& services_;
  Limits limits_;
  Caller* caller_ = nullptr;  ///< null: it has ended, and frees itself in its next turn
  std::uint64_t sent_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t untold_ = 0;  ///< of `lost_`, what no event has told
  std::uint64_t due_ns_ = 0;
  std::string_view end_;  ///< not empty: it ends, and why
  bool tells_all_lost_ = false;
  kernel::WorkItem turn_{[](void* self) { static_cast<Subscription*>(self)->turn(); }, this};
  kernel::Timer timer_{turn_};
};

/// Follows a ring whose entries have places that grow, and which keeps what it can: an entry that finds no room now is
/// sent when there is, unless the ring has written over it by then.
class RingSubscription : public Subscription {
 protected:
  using Subscription::Subscription;
  ~RingSubscription() override = default;

  /// Sends what comes next, after lose() for what was written over. There is room. False: nothing is there.
  virtual bool send_next() = 0;

 private:
  /// Sent in one turn: others have theirs in between.
  static constexpr unsigned kEventsPerTurn = 16;
  void on_turn(bool due) final;
};

/// Makes a subscription for `caller` and starts it.
template <typename T, typename... Args>
HandlerResult subscribe(Services& services, Caller& caller, Args&&... args) {
  T* const made = new (std::nothrow) T(services, std::forward<Args>(args)...);
  if (made == nullptr) {
    return refuse(abi::control::error::kBusy, "", "no memory for another subscription");
  }
  made->start(caller);
  return Handled::Later;
}

}  // namespace guest::control
