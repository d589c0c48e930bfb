// The servers and tasks that a scenario or a user declares: what has a name, beside the scheduler's numbers.
//
//            start()                 stop()                     the last task has gone
//   Off ---------------> On ------------------> Stopping ------------------------------> Off
//
// A task that is out of budget ends when it has some again, so stopping takes up to a period.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/sched/cpu_scheduler.hpp"
#include "guest/kernel/status.hpp"
#include "guest/kernel/threads/jobs.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/work.hpp"
#include "guest/process/program.hpp"

namespace guest::tasks {

inline constexpr std::size_t kMaxName = threads::ThreadOptions::kMaxName;
/// Servers, and tasks, that are declared at a time.
inline constexpr std::size_t kMaxItems = 64;

struct ServerSpec {
  std::string_view name;  ///< 1 to kMaxName bytes, copied; no other server has it
  sched::ServerParameters parameters;
  std::optional<std::uint32_t> cpu = {};  ///< nothing: the first that it fits on
  /// It has its promise from its declaration until it is removed, whether the set is on or off. Its threads are
  /// whoever's that asked for it, and gone before it is removed.
  bool standing = false;
};

/// A job of so much processor time in every period.
struct PeriodicLoad {
  sched::Time period = 0;
  sched::Time work = 0;
  sched::Time offset = 0;    ///< of the first release, after the start
  sched::Time deadline = 0;  ///< after each release
  std::uint64_t jobs = 0;    ///< 0: for ever
};

/// Wants the CPU all the time.
struct GreedyLoad {
  sched::Time start = 0;   ///< after the start of the set
  sched::Time length = 0;  ///< 0: for ever
};

/// A user task. What it refers to outlives the task.
struct ProgramLoad {
  static constexpr std::size_t kMaxArguments = 16;
  std::span<const std::byte> file;                                  ///< ELF
  kernel::BoundedArray<std::string_view, kMaxArguments> arguments;  ///< argv
  std::uint64_t max_pages = 0;                                      ///< of memory, translation tables included
  std::optional<process::LlmGrant> llm = {};                        ///< what its handle gives; nothing: it has none
};

class Server;
class Task;
class TaskSet;

struct TaskSpec {
  std::string_view name;     ///< 1 to kMaxName bytes, copied; no other task has it
  Server* server = nullptr;  ///< null: best effort, on `cpu`
  std::uint32_t cpu = 0;
  std::variant<PeriodicLoad, GreedyLoad, ProgramLoad> load;
};

/// What a server's CPU knows of it, of one moment.
struct ServerState {
  bool has_work = false;
  bool throttled = false;
  sched::Time budget_left = 0;  ///< negative: it has overrun its budget by so much
  sched::Time deadline = 0;     ///< absolute
  sched::ServerCounters counters;
};

class Server {
 public:
  [[nodiscard]] std::string_view name() const { return name_.view(); }
  /// Breaks ties of deadlines: the order of declaration.
  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] const sched::ServerParameters& parameters() const { return parameters_; }
  /// Where it has its promise; nothing while the set is off.
  [[nodiscard]] std::optional<std::uint32_t> cpu() const { return placed_; }
  [[nodiscard]] const threads::JobStatistics& statistics() const { return *statistics_; }
  [[nodiscard]] bool standing() const { return standing_; }
  /// For threads that are to run in it; of one that has a promise.
  [[nodiscard]] sched::Server& schedulable() { return *server_; }

 private:
  friend class Task;
  friend class TaskSet;
  kernel::FixedText<kMaxName> name_;
  std::uint32_t id_ = 0;
  bool standing_ = false;
  sched::ServerParameters parameters_;
  std::optional<std::uint32_t> wanted_cpu_;
  std::optional<std::uint32_t> placed_;
  std::optional<sched::Server> server_;  ///< made anew for each promise
  std::unique_ptr<threads::JobStatistics> statistics_;
  kernel::ListLink<Server> link_;
};

class Task {
 public:
  [[nodiscard]] std::string_view name() const { return name_.view(); }
  /// Null: best effort.
  [[nodiscard]] const Server* server() const { return server_; }
  /// Id of its thread; 0: it has none.
  [[nodiscard]] std::uint32_t thread_id() const { return thread_ ? thread_->id() : 0; }
  /// Of its jobs; that of its server, if it has one.
  [[nodiscard]] const threads::JobStatistics& statistics() const;
  [[nodiscard]] bool periodic() const { return std::holds_alternative<PeriodicLoad>(load_); }
  /// Of one that is a user program: as it is, or as it ended last; nothing before its first start.
  [[nodiscard]] std::optional<process::ProgramReport> program() const;

 private:
  friend class TaskSet;
  static void run(void* self);
  void run_jobs(const PeriodicLoad& load, threads::JobStatistics& statistics) const;
  void run_greedily(const GreedyLoad& load) const;

  kernel::FixedText<kMaxName> name_;
  Server* server_ = nullptr;
  std::uint32_t cpu_ = 0;
  std::variant<PeriodicLoad, GreedyLoad, ProgramLoad> load_;
  std::unique_ptr<process::Program> program_;             ///< while there is a thread
  std::optional<process::ProgramReport> program_report_;  ///< of the last one
  sched::Time epoch_ = 0;                                 ///< when the set was started
  std::unique_ptr<threads::JobStatistics> own_statistics_;
  threads::ThreadRef thread_;
  kernel::ListLink<Task> link_;
};

/// Why a server or a task is not accepted.
struct Refusal {
  kernel::Status status;  ///< Invalid, Exists, OutOfRange (no such CPU), NoMemory (or too many), Busy (not now)
  /// Of a server that does not fit: with the arithmetic.
  std::optional<sched::Placement> placement;
};

enum class SetState : std::uint8_t { Off, On, Stopping };
std::string_view to_string(SetState state);

/// In one thread, the work queue's. What is declared stays for ever, but for remove_server().
class TaskSet {
 public:
  constexpr TaskSet() = default;
  /// What loads user programs, before the first of them is declared.
  void set_loader(process::ProgramLoader& loader) { loader_ = &loader; }
  TaskSet(const TaskSet&) = delete;
  TaskSet& operator=(const TaskSet&) = delete;

  /// Declares a server; while the set is on it has its promise from now on, or is refused.
  std::expected<Server*, Refusal> add_server(const ServerSpec& spec);
  /// Takes a server back. Busy: tasks run in it. NotFound.
  kernel::Status remove_server(std::string_view name);
  /// Declares a task, while the set is off.
  std::expected<Task*, Refusal> add_task(const TaskSpec& spec);

  /// Promises every server its budget, loads every program and starts every task. All or nothing: on a refusal, which
  /// names the server or the task, the set is off as before.
  struct StartRefusal {
    const Server* server = nullptr;  ///< null: a task could not be started
    Refusal refusal;
    const Task* task = nullptr;   ///< one of which the program cannot be loaded
    kernel::NamedError why = {};  ///< of that
  };
  std::expected<void, StartRefusal> start();
  /// Asks every task to end. Busy: the set is not on.
  kernel::Status stop();
  /// Forgets what was measured.
  void reset_statistics();

  [[nodiscard]] SetState state() const { return state_; }
  [[nodiscard]] Server* find_server(std::string_view name) const;
  /// In the order of declaration; null at the end.
  [[nodiscard]] const Server* first_server() const { return servers_.front(); }
  [[nodiscard]] static const Server* after(const Server& server) { return ServerList::after(server); }
  [[nodiscard]] const Task* first_task() const { return tasks_.front(); }
  [[nodiscard]] static const Task* after(const Task& task) { return TaskList::after(task); }
  /// Of a server with a promise: asks its CPU.
  [[nodiscard]] static ServerState state_of(const Server& server);

 private:
  using ServerList = kernel::IntrusiveList<Server, &Server::link_>;
  using TaskList = kernel::IntrusiveList<Task, &Task::link_>;

  static std::expected<void, Refusal> promise(Server& server);
  static void take_back(Server& server);
  void take_all_back();
  std::expected<void, StartRefusal> load_programs();
  void unload_programs();
  bool start_task(Task& task, sched::Time epoch);
  void on_thread_gone();

  process::ProgramLoader* loader_ = nullptr;
  SetState state_ = SetState::Off;
  std::uint32_t next_server_id_ = 0;
  std::uint32_t living_ = 0;  ///< tasks whose threads have not gone
  ServerList servers_;
  TaskList tasks_;
  kernel::WorkItem thread_gone_{[](void* self) { static_cast<TaskSet*>(self)->on_thread_gone(); }, this};
};

/// The kernel's.
TaskSet& task_set();

}  // namespace guest::tasks
