// A single-threaded event loop over poll(2): descriptors, timers, and work posted from other threads.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "vmm/base/notifier.hpp"
#include "vmm/base/result.hpp"

namespace vmm {

/// What a watcher wants to hear of.
enum class Interest : std::uint8_t {
  None = 0,    ///< nothing; the descriptor stays registered but is not polled, so a hang-up cannot spin the loop
  Hangup = 1,  ///< only that the other side is gone, or an error
  Read = 2,
  Write = 4,
  ReadWrite = 6,
};

/// What happened. Several may be set at once; `hangup` may come together with data that is still to be read.
struct Events {
  bool readable = false;
  bool writable = false;
  bool hangup = false;  ///< both directions are closed by the other side
  bool error = false;   ///< an error is pending, or the descriptor is not open
};

/// Runs callbacks on one thread: the one that calls run().
///
/// Only post(), stop() and in_loop_thread() may be called from other threads; everything else belongs to the loop's
/// thread (or to whoever sets the loop up before run()). Callbacks may add, modify and remove anything, themselves
/// included; a callback whose watch was removed, or whose timer was cancelled, is not called any more, even if its
/// event was already seen. Level-triggered: what a callback leaves unread is reported again.
class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using FdCallback = std::function<void(Events)>;
  using TimerId = std::uint64_t;

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Watches `fd`, which the caller owns and must remove() before closing it. Watching it twice is our bug (asserts).
  void add(int fd, Interest interest, FdCallback callback);
  /// Changes what is wanted of a watched descriptor.
  void modify(int fd, Interest interest);
  /// Ends the watch; ignored if there is none.
  void remove(int fd);

  /// Calls `callback` once, `delay` from now (at once in the next round for zero or less).
  TimerId add_timer(Clock::duration delay, std::function<void()> callback);
  /// Forgets a timer; ignored if it has run or is unknown.
  void cancel_timer(TimerId id);

  /// Runs `work` on the loop's thread, after the events of the current round. From any thread. Work that is posted
  /// while posted work runs waits for the next round, so descriptors are served in between. What is left when the
  /// loop is destroyed is dropped unrun.
  void post(std::function<void()> work);

  /// Runs `work` at the end of the current round, or of the next if called between rounds; several events of a round
  /// can so share it. Loop's thread only, and cheaper than post().
  void defer(std::function<void()> work);

  /// Serves events until stop(). Fails only if polling itself fails.
  Result<> run();
  /// One round: waits at most `timeout` (negative: for ever) for something to do, does it. For tests and for loops
  /// that have more to do.
  Result<> run_once(std::chrono::milliseconds timeout);
  /// Makes run() return after the current round; if it is not running, the next run() returns at once. From any thread.
  void stop();

  /// True on the thread that runs the loop, or ran it last: what others must post(), it can do at once. False
  /// everywhere before the first round. From any thread.
  [[nodiscard]] bool in_loop_thread() const {
    // Relaxed: a thread compares with what it stored itself; what another stored is never equal.
    return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

 private:
  static constexpr std::size_t kNoSlot = SIZE_MAX;
  struct Watch {
    Interest interest;
    std::size_t slot;          ///< place in poll_list_, kNoSlot before the next rebuild
    std::uint64_t generation;  ///< tells a new watch from an old one of the same descriptor number
    std::shared_ptr<FdCallback> callback;
  };

  explicit EventLoop(Notifier wake);
  void rebuild_poll_list();
  int poll_timeout_ms(std::chrono::milliseconds limit) const;
  void run_descriptors();
  void run_timers();
  void run_posted();
  void run_deferred();

  Notifier wake_;
  std::unordered_map<int, Watch> watches_;
  std::uint64_t next_generation_ = 1;
  bool poll_list_stale_ = true;
  std::vector<pollfd> poll_list_;  ///< [0] is wake_
  struct Slot {
    int fd;
    std::uint64_t generation;
  };
  std::vector<Slot> slots_;  ///< [poll_list_.size()]: whose entry it is

  TimerId next_timer_ = 1;
  std::multimap<Clock::time_point, TimerId> timer_queue_;
  struct Timer {
    std::multimap<Clock::time_point, TimerId>::iterator place;
    std::function<void()> callback;
  };
  std::unordered_map<TimerId, Timer> timers_;

  std::vector<std::function<void()>> deferred_;
  std::atomic<std::thread::id> thread_{};  ///< of the last round

  std::mutex mutex_;  ///< guards posted_ and stopping_
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false;
};

}  // namespace vmm
