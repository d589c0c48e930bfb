// What the scheduler of a CPU schedules: tasks, and the servers that real-time tasks run in.
#pragma once

#include <algorithm>
#include <cstdint>

#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/pairing_heap.hpp"
#include "guest/kernel/sched/admission.hpp"
#include "guest/kernel/sched/cbs.hpp"

namespace guest::sched {

class CpuScheduler;
class Server;

/// Something that runs: the scheduler's part of a thread, which owns it. It belongs to one server or, without one, to
/// the best-effort class.
class Task {
 public:
  explicit constexpr Task(Server* server = nullptr) : server_(server) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  [[nodiscard]] Server* server() const { return server_; }
  /// It runs or wants to.
  [[nodiscard]] bool ready() const { return link_.linked; }
  /// Time for which it has had a CPU, up to the scheduler's last event.
  [[nodiscard]] Time ran() const { return ran_; }
  /// Of its server, or what it has inherited if that is earlier; kNever: it is a best-effort task. Meaningful on its
  /// CPU.
  [[nodiscard]] inline Time deadline() const;

 private:
  friend class CpuScheduler;
  friend class Server;
  static bool inherits_before(const Task& a, const Task& b) { return a.inherited_ < b.inherited_; }

  kernel::ListLink<Task> link_;
  kernel::HeapLink<Task> heir_link_;  ///< while it is ready and has inherited
  Server* server_;
  Time ran_ = 0;
  Time inherited_ = kNever;

  /// Ready tasks that share something, the one whose turn it is first.
  using List = kernel::IntrusiveList<Task, &Task::link_>;
};

/// What has happened to a server since it was admitted.
struct ServerCounters {
  Time ran = 0;
  std::uint64_t throttles = 0;  ///< a hard one had to wait for its next period
  Time max_overrun = 0;         ///< by how much it has exceeded a budget at most, before it was stopped
  Time reclaimed = 0;           ///< of the time that it ran: what its budget was not charged for
};

/// A budget, and the tasks that run on it. Owned by whoever admits it; it must not be destroyed before it is removed.
class Server {
 public:
  /// `id` breaks ties of deadlines: no two servers of a CPU have the same.
  constexpr Server(std::uint32_t id, const ServerParameters& parameters) : id_(id), cbs_(parameters) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] const Cbs& cbs() const { return cbs_; }
  [[nodiscard]] const ServerCounters& counters() const { return counters_; }
  /// It has had work since it was admitted: its CPU keeps account of it.
  [[nodiscard]] bool has_had_work() const { return known_link_.linked; }
  [[nodiscard]] bool has_work() const { return !tasks_.empty(); }

 private:
  friend class CpuScheduler;
  static bool is_more_urgent(const Server& a, const Server& b) {
    return a.cbs_.deadline() != b.cbs_.deadline() ? a.cbs_.deadline() < b.cbs_.deadline() : a.id_ < b.id_;
  }
  static bool is_replenished_before(const Server& a, const Server& b) {
    const Time when_a = a.cbs_.replenished_at();
    const Time when_b = b.cbs_.replenished_at();
    return when_a != when_b ? when_a < when_b : a.id_ < b.id_;
  }

  static bool is_inactive_before(const Server& a, const Server& b) {
    return a.inactive_at_ != b.inactive_at_ ? a.inactive_at_ < b.inactive_at_ : a.id_ < b.id_;
  }

  std::uint32_t id_;
  kernel::HeapLink<Server> link_;  ///< of ready, of throttled or of leaving servers
  Cbs cbs_;
  Task::List tasks_;
  ServerCounters counters_;
  // What CpuScheduler knows of it for those that reclaim.
  kernel::ListLink<Server> known_link_;  ///< since it had work for the first time
  Ppm share_ = 0;                        ///< its density
  bool active_ = false;
  Time inactive_at_ = 0;  ///< of a leaving one
};

Time Task::deadline() const { return std::min(inherited_, server_ == nullptr ? kNever : server_->cbs().deadline()); }

}  // namespace guest::sched
