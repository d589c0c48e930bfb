#include "guest/tasks/task_set.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::tasks {
namespace {

/// From start() until the first releases: long enough that every task is there.
constexpr sched::Time kStartDelay = 1'000'000;

std::unexpected<Refusal> refuse(kernel::Status status, std::optional<sched::Placement> placement = {}) {
  return std::unexpected(Refusal{.status = status, .placement = placement});
}

bool is_name(std::string_view name) { return !name.empty() && name.size() <= kMaxName; }

template <typename List>
bool has_name(const List& list, std::string_view name) {
  for (auto* item = list.front(); item != nullptr; item = List::after(*item)) {
    if (item->name() == name) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string_view to_string(SetState state) {
  switch (state) {
    case SetState::Off:
      return "off";
    case SetState::On:
      return "on";
    case SetState::Stopping:
      return "stopping";
  }
  return "unknown";
}

std::expected<Server*, Refusal> TaskSet::add_server(const ServerSpec& spec) {
  if (!is_name(spec.name)) {
    return refuse(kernel::Status::Invalid);
  }
  if (has_name(servers_, spec.name)) {
    return refuse(kernel::Status::Exists);
  }
  if (state_ == SetState::Stopping && !spec.standing) {
    return refuse(kernel::Status::Busy);
  }
  if (servers_.size() == kMaxItems) {
    return refuse(kernel::Status::NoMemory);
  }
  if (spec.cpu && threads::find_dispatcher(*spec.cpu) == nullptr) {
    return refuse(kernel::Status::OutOfRange);
  }
  if (const sched::Verdict verdict = sched::check(spec.parameters); verdict != sched::Verdict::Admitted) {
    return refuse(kernel::Status::Invalid, sched::Placement{.cpu = 0, .admission = {.verdict = verdict}});
  }
  std::unique_ptr<Server> server(new (std::nothrow) Server);
  if (server == nullptr) {
    return refuse(kernel::Status::NoMemory);
  }
  server->statistics_.reset(new (std::nothrow) threads::JobStatistics);
  if (server->statistics_ == nullptr) {
    return refuse(kernel::Status::NoMemory);
  }
  server->name_.write(spec.name);
  server->id_ = next_server_id_;
  server->parameters_ = spec.parameters;
  server->wanted_cpu_ = spec.cpu;
  server->standing_ = spec.standing;
  if (state_ == SetState::On || spec.standing) {
    if (const auto promised = promise(*server); !promised) {
      return std::unexpected(promised.error());
    }
  }
  ++next_server_id_;
  Server& added = *server.release();
  servers_.push_back(added);
  return &added;
}

kernel::Status TaskSet::remove_server(std::string_view name) {
  Server* const server = find_server(name);
  if (server == nullptr) {
    return kernel::Status::NotFound;
  }
  for (const Task* task = first_task(); task != nullptr; task = after(*task)) {
    if (task->server_ == server) {
      return kernel::Status::Busy;
    }
  }
  take_back(*server);
  servers_.remove(*server);
  delete server;
  return kernel::Status::Ok;
}

std::expected<Task*, Refusal> TaskSet::add_task(const TaskSpec& spec) {
  if (!is_name(spec.name)) {
    return refuse(kernel::Status::Invalid);
  }
  if (has_name(tasks_, spec.name)) {
    return refuse(kernel::Status::Exists);
  }
  if (state_ != SetState::Off) {
    return refuse(kernel::Status::Busy);
  }
  if (tasks_.size() == kMaxItems) {
    return refuse(kernel::Status::NoMemory);
  }
  if (spec.server == nullptr && threads::find_dispatcher(spec.cpu) == nullptr) {
    return refuse(kernel::Status::OutOfRange);
  }
  if (std::holds_alternative<ProgramLoad>(spec.load) && loader_ == nullptr) {
    return refuse(kernel::Status::Unsupported);
  }
  std::unique_ptr<Task> task(new (std::nothrow) Task);
  if (task == nullptr) {
    return refuse(kernel::Status::NoMemory);
  }
  if (spec.server == nullptr) {
    task->own_statistics_.reset(new (std::nothrow) threads::JobStatistics);
    if (task->own_statistics_ == nullptr) {
      return refuse(kernel::Status::NoMemory);
    }
  }
  task->name_.write(spec.name);
  task->server_ = spec.server;
  task->cpu_ = spec.cpu;
  task->load_ = spec.load;
  Task& added = *task.release();
  tasks_.push_back(added);
  return &added;
}

/// Admissions are this thread's alone, so no CPU's sum changes under it.
std::expected<void, Refusal> TaskSet::promise(Server& server) {
  server.server_.emplace(server.id_, server.parameters_);
  sched::CpuScheduler* cpus[kernel::kMaxCpus];
  std::uint32_t numbers[kernel::kMaxCpus];
  std::size_t count = 0;
  for (std::uint32_t cpu = 0; cpu < kernel::kMaxCpus; ++cpu) {
    threads::Dispatcher* const dispatcher = threads::find_dispatcher(cpu);
    if (dispatcher != nullptr && (!server.wanted_cpu_ || *server.wanted_cpu_ == cpu)) {
      numbers[count] = cpu;
      cpus[count++] = &dispatcher->admissions();
    }
  }
  if (count == 0) {
    return refuse(kernel::Status::OutOfRange);
  }
  sched::Placement placement = sched::place({cpus, count}, *server.server_);
  placement.cpu = numbers[placement.cpu];
  if (placement.admission.verdict != sched::Verdict::Admitted) {
    server.server_.reset();
    return refuse(kernel::Status::OutOfRange, placement);
  }
  server.placed_ = static_cast<std::uint32_t>(placement.cpu);
  return {};
}

void TaskSet::take_back(Server& server) {
  if (!server.placed_) {
    return;
  }
  if (server.server_->has_had_work()) {
    const auto remove = [](void* of) {
      threads::Dispatcher& here = threads::dispatcher();
      here.admissions().remove(*static_cast<sched::Server*>(of), here.now());
    };
    const bool called = threads::call_on(*server.placed_, remove, &*server.server_);
    kernel::require(called, "a server's CPU has gone");
  } else {
    // Also at the boot, where nobody may wait for another CPU.
    threads::find_dispatcher(*server.placed_)->admissions().remove(*server.server_, 0);
  }
  server.placed_.reset();
  server.server_.reset();
}

void TaskSet::take_all_back() {
  for (Server* server = servers_.front(); server != nullptr; server = ServerList::after(*server)) {
    if (!server->standing_) {
      take_back(*server);
    }
  }
}

std::expected<void, TaskSet::StartRefusal> TaskSet::load_programs() {
  for (Task* task = tasks_.front(); task != nullptr; task = TaskList::after(*task)) {
    const auto* const load = std::get_if<ProgramLoad>(&task->load_);
    if (load == nullptr) {
      continue;
    }
    auto loaded = loader_->load({.name = task->name(),
                                 .file = load->file,
                                 .arguments = {load->arguments.begin(), load->arguments.size()},
                                 .max_pages = load->max_pages,
                                 .llm = load->llm});
    if (!loaded) {
      unload_programs();
      return std::unexpected(StartRefusal{
          .refusal = {.status = kernel::Status::Invalid, .placement = {}}, .task = task, .why = loaded.error()});
    }
    task->program_ = *std::move(loaded);
  }
  return {};
}

/// Of tasks without threads.
void TaskSet::unload_programs() {
  for (Task* task = tasks_.front(); task != nullptr; task = TaskList::after(*task)) {
    if (!task->thread_) {
      task->program_ = nullptr;
    }
  }
}

bool TaskSet::start_task(Task& task, sched::Time epoch) {
  task.epoch_ = epoch;
  auto thread = threads::spawn({.name = task.name(),
                                .cpu = task.server_ == nullptr ? task.cpu_ : *task.server_->placed_,
                                .server = task.server_ == nullptr ? nullptr : &*task.server_->server_,
                                .gone = &thread_gone_},
                               Task::run, &task);
  if (!thread) {
    return false;
  }
  task.thread_ = *std::move(thread);
  ++living_;
  return true;
}

std::expected<void, TaskSet::StartRefusal> TaskSet::start() {
  if (state_ != SetState::Off) {
    return std::unexpected(StartRefusal{.refusal = {.status = kernel::Status::Busy, .placement = {}}});
  }
  for (Server* server = servers_.front(); server != nullptr; server = ServerList::after(*server)) {
    if (server->standing_) {
      continue;
    }
    if (const auto promised = promise(*server); !promised) {
      take_all_back();
      return std::unexpected(StartRefusal{.server = server, .refusal = promised.error()});
    }
  }
  if (auto loaded = load_programs(); !loaded) {
    take_all_back();
    return loaded;
  }
  state_ = SetState::On;
  const sched::Time epoch = threads::dispatcher().now() + kStartDelay;
  for (Task* task = tasks_.front(); task != nullptr; task = TaskList::after(*task)) {
    if (!start_task(*task, epoch)) {
      unload_programs();
      (void)stop();
      return std::unexpected(StartRefusal{.refusal = {.status = kernel::Status::NoMemory, .placement = {}}});
    }
  }
  return {};
}

kernel::Status TaskSet::stop() {
  if (state_ != SetState::On) {
    return kernel::Status::Busy;
  }
  state_ = SetState::Stopping;
  for (Task* task = tasks_.front(); task != nullptr; task = TaskList::after(*task)) {
    if (task->thread_) {
      task->thread_->request_stop();
    }
  }
  on_thread_gone();  // all may have ended before
  return kernel::Status::Ok;
}

void TaskSet::on_thread_gone() {
  for (Task* task = tasks_.front(); task != nullptr; task = TaskList::after(*task)) {
    if (task->thread_ && task->thread_->gone()) {
      task->thread_ = {};
      task->program_report_ = task->program();
      task->program_ = nullptr;
      --living_;
    }
  }
  if (state_ == SetState::Stopping && living_ == 0) {
    take_all_back();
    state_ = SetState::Off;
  }
}

void TaskSet::reset_statistics() {
  const auto reset_on = [](std::uint32_t cpu, threads::JobStatistics& statistics) {
    const bool called =
        threads::call_on(cpu, [](void* of) { static_cast<threads::JobStatistics*>(of)->reset(); }, &statistics);
    kernel::require(called, "a server's CPU has gone");
  };
  for (Server* server = servers_.front(); server != nullptr; server = ServerList::after(*server)) {
    reset_on(server->placed_.value_or(0), *server->statistics_);
  }
  for (Task* task = tasks_.front(); task != nullptr; task = TaskList::after(*task)) {
    if (task->own_statistics_ != nullptr) {
      reset_on(task->cpu_, *task->own_statistics_);
    }
  }
}

Server* TaskSet::find_server(std::string_view name) const {
  Server* server = servers_.front();
  while (server != nullptr && server->name() != name) {
    server = ServerList::after(*server);
  }
  return server;
}

ServerState TaskSet::state_of(const Server& server) {
  struct Question {
    const sched::Server& server;
    ServerState answer;
  } question{.server = *server.server_, .answer = {}};
  const bool asked = threads::call_on(
      *server.placed_,
      [](void* context) {
        auto& [of, answer] = *static_cast<Question*>(context);
        answer = {.has_work = of.has_work(),
                  .throttled = of.cbs().throttled(),
                  .budget_left = of.cbs().budget(),
                  .deadline = of.cbs().deadline(),
                  .counters = of.counters()};
      },
      &question);
  kernel::require(asked, "a server's CPU has gone");
  return question.answer;
}

TaskSet& task_set() {
  static constinit TaskSet set;
  return set;
}

}  // namespace guest::tasks
