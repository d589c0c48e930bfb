#include "guest/graph/run/runner.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "guest/kernel/panic.hpp"
#include "worker.hpp"

namespace guest::graph {
namespace {

using kernel::fail;

std::uint64_t now_ns() { return static_cast<std::uint64_t>(threads::dispatcher().now()); }

}  // namespace

std::string_view to_string(RunState state) {
  constexpr std::string_view kNames[] = {"idle", "running", "paused", "stopping"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(RunEnd end) {
  constexpr std::string_view kNames[] = {"none", "finished", "starved", "deadlock", "stopped", "failed"};
  return kNames[static_cast<std::size_t>(end)];
}

kernel::Outcome check_server(std::string_view graph, const sched::ServerParameters& server) {
  if (sched::check(server) != sched::Verdict::Admitted) {
    return fail("graph-bad-server", "graph '{}': expected 0 < budget <= deadline <= period <= {} s",
                kernel::escaped(graph.substr(0, kMaxGraphName)), sched::kMaxPeriod / 1'000'000'000);
  }
  return {};
}

Runner::Runner(Graph& graph, const std::optional<sched::ServerParameters>& server) : graph_(graph), server_(server) {}

Runner::~Runner() {
  kernel::require(state_.load(std::memory_order_relaxed) == RunState::Idle, "a graph is destroyed while it runs");
}

kernel::Outcome Runner::need(RunState state, std::string_view otherwise) const {
  const RunState now = state_.load(std::memory_order_relaxed);
  if (now != state) {
    return fail(otherwise, "graph '{}' is {}", graph_.name(), to_string(now));
  }
  return {};
}

kernel::Outcome Runner::check_cpus() const {
  for (const Operator* const each : graph_.operators()) {
    if (threads::find_dispatcher(each->cpu()) == nullptr) {
      return fail("graph-bad-cpu", "operator '{}' is on CPU {}, which is not there or is off", each->name(),
                  each->cpu());
    }
  }
  return {};
}

/// By priority, then in the order in which they were added.
void Runner::take_places() {
  places_.clear();
  for (Operator* const each : graph_.operators()) {
    std::size_t at = 0;
    while (at < places_.size() && places_[at].code->priority() >= each->priority()) {
      ++at;
    }
    kernel::require(places_.insert(at, {.code = each}), "more operators than a graph has");
  }
  const auto place_of = [this](const Operator* code) {
    return static_cast<std::uint8_t>(std::ranges::find(places_, code, &Place::code) - places_.begin());
  };
  for (Place& place : places_) {
    for (std::size_t i = 0; i < place.code->inputs().size(); ++i) {
      place.producers[i] = place_of(graph_.producer_of(*place.code->inputs()[i]));
    }
    for (std::size_t i = 0; i < place.code->outputs().size(); ++i) {
      place.consumers[i] = place_of(graph_.consumer_of(*place.code->outputs()[i]));
    }
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].code->priority() == place.code->priority()) {
        place.peers |= std::uint64_t{1} << i;
      }
    }
  }
}

std::expected<tasks::Server*, kernel::NamedError> Runner::promise(std::uint32_t cpu) {
  kernel::FixedText<tasks::kMaxName> name;
  kernel::format_to(name, "{}.cpu{}", graph_.name(), cpu);
  const auto server =
      tasks::task_set().add_server({.name = name.view(), .parameters = *server_, .cpu = cpu, .standing = true});
  if (server) {
    return *server;
  }
  const tasks::Refusal& refusal = server.error();
  if (refusal.status == kernel::Status::Exists) {
    return fail("graph-not-admitted", "graph '{}' needs a server '{}', and another one has that name", graph_.name(),
                name.view());
  }
  if (!refusal.placement) {
    return fail("graph-not-admitted", "graph '{}' gets no server on CPU {}: {}", graph_.name(), cpu,
                to_string(refusal.status));
  }
  const sched::Admission& admission = refusal.placement->admission;
  return fail("graph-not-admitted", "graph '{}' does not fit on CPU {}: it needs {} ppm, {} are promised of at most {}",
              graph_.name(), cpu, admission.density, admission.admitted, admission.bound);
}

/// A worker for each CPU, with its server; not started.
kernel::Outcome Runner::make_workers() {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::uint32_t cpu = places_[i].code->cpu();
    std::size_t worker = 0;
    while (worker < worker_count_ && workers_[worker]->cpu() != cpu) {
      ++worker;
    }
    if (worker == worker_count_) {
      workers_[worker].reset(new (std::nothrow) Worker(*this, cpu));
      if (workers_[worker] == nullptr) {
        return fail("graph-no-memory", "no memory to run graph '{}'", graph_.name());
      }
      ++worker_count_;
      if (server_) {
        const auto server = promise(cpu);
        if (!server) {
          return std::unexpected(server.error());
        }
        workers_[worker]->set_server(*server);
      }
    }
    places_[i].worker = static_cast<std::uint8_t>(worker);
    workers_[worker]->add_place(i);
  }
  return {};
}

/// Those whose threads have gone, or never were.
void Runner::dismiss_workers() {
  while (worker_count_ != 0) {
    std::unique_ptr<Worker>& worker = workers_[--worker_count_];
    if (worker->server() != nullptr) {
      const kernel::Status removed = tasks::task_set().remove_server(worker->server()->name());
      kernel::require(removed == kernel::Status::Ok, "a graph's server cannot be removed");
    }
    worker.reset();
  }
}

/// Has the workers of a run made and dismissed, with their promises.
kernel::Outcome Runner::try_workers() {
  take_places();
  auto made = make_workers();
  dismiss_workers();
  if (made && server_ && places_.empty()) {
    const auto promised = promise(0);
    if (!promised) {
      return std::unexpected(promised.error());
    }
    const kernel::Status removed = tasks::task_set().remove_server((*promised)->name());
    kernel::require(removed == kernel::Status::Ok, "a graph's server cannot be removed");
  }
  return made;
}

kernel::Outcome Runner::set_server(const sched::ServerParameters& server) {
  for (const auto& checked : {need(RunState::Idle, "graph-busy"), check_server(graph_.name(), server), check_cpus()}) {
    if (!checked) {
      return checked;
    }
  }
  const auto before = std::exchange(server_, server);
  const auto tried = try_workers();
  if (!tried) {
    server_ = before;
  }
  return tried;
}

kernel::Outcome Runner::start(std::uint64_t steps, RunState as) {
  for (const auto& checked : {need(RunState::Idle, "graph-busy"), graph_.check_complete(), check_cpus()}) {
    if (!checked) {
      return checked;
    }
  }
  take_places();
  if (const auto made = make_workers(); !made) {
    dismiss_workers();
    return made;
  }
  graph_.drain_channels();
  for (Place& place : places_) {
    place.steps_left = steps;
  }
  executions_before_ = executions();
  begin();
  end_ = RunEnd::None;
  why_.clear();
  failed_.store(false, std::memory_order_relaxed);
  draining_.store(false, std::memory_order_relaxed);
  // One more than there are workers: nothing is over before all of them have begun.
  busy_.restart(static_cast<std::uint32_t>(worker_count_) + 1);
  ++runs_;
  // They may wake each other, so none goes on before all are there.
  state_.store(RunState::Paused, std::memory_order_relaxed);
  for (started_ = 0; started_ < worker_count_; ++started_) {
    if (!workers_[started_]->start(graph_.name(), gone_)) {
      why_.write("no memory for its threads");
      end_ = RunEnd::Failed;
      set_state(RunState::Stopping);
      on_worker_gone();
      return fail("graph-no-memory", "no memory for the threads of graph '{}'", graph_.name());
    }
  }
  held_ = as == RunState::Paused;
  if (!held_) {
    set_state(RunState::Running);
  }
  leave();
  return {};
}

void Runner::begin() {
  began_ns_ = now_ns();
  for (const Place& place : places_) {
    place.code->begin(began_ns_);
  }
}

void Runner::set_state(RunState state) {
  // Release pairs with the acquire in Worker::run().
  state_.store(state, std::memory_order_release);
  if (state == RunState::Stopping) {
    std::ranges::for_each(places_, [](const Place& place) { place.code->code().stop(); });
  }
  for (std::size_t i = 0; i < started_; ++i) {
    workers_[i]->wake();
  }
}

kernel::Outcome Runner::stop() {
  const RunState now = state_.load(std::memory_order_relaxed);
  if (now != RunState::Running && now != RunState::Paused) {
    return need(RunState::Running, "graph-not-running");
  }
  end_ = RunEnd::Stopped;
  set_state(RunState::Stopping);
  return {};
}

kernel::Outcome Runner::drain() {
  if (const auto running = need(RunState::Running, "graph-not-running"); !running) {
    return running;
  }
  draining_.store(true, std::memory_order_relaxed);
  // Each looks at its sources again; a worker that was idle goes idle once more, and so the run ends.
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].code->is_source()) {
      raise(i);
    }
  }
  return {};
}

kernel::Outcome Runner::pause() {
  if (const auto running = need(RunState::Running, "graph-not-running"); !running) {
    return running;
  }
  set_state(RunState::Paused);
  return {};
}

kernel::Outcome Runner::resume() {
  if (const auto paused = need(RunState::Paused, "graph-not-paused"); !paused) {
    return paused;
  }
  if (held_) {
    begin();  // sources that keep to a time have missed nothing
    held_ = false;
  }
  set_state(RunState::Running);
  // All may have come to their end before the pause, which nobody has judged since.
  kernel::work_queue().raise(quiet_);
  return {};
}

void Runner::wake(const Operator& source) {
  const RunState now = state_.load(std::memory_order_relaxed);
  if (now == RunState::Running || now == RunState::Paused) {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].code == &source) {
        raise(i);
      }
    }
  }
}

/// By the control loop, which is not counted and so must be while it raises.
void Runner::raise(std::size_t place) {
  busy_.enter();
  workers_[places_[place].worker]->raise(place);
  leave();
}

void Runner::leave() {
  if (busy_.leave()) {
    become_quiet();
  }
}

void Runner::become_quiet() { kernel::work_queue().raise(quiet_); }

void Runner::note_failure(const Operator& failed, const kernel::NamedError& error) {
  if (!failed_.exchange(true, std::memory_order_acq_rel)) {
    failure_.clear();
    kernel::format_to(failure_, "operator '{}': {}: {}", failed.name(), error.name, error.detail.view());
    // The others go on until the control loop has seen it; this one's operators stay as they are.
    RunState running = RunState::Running;
    state_.compare_exchange_strong(running, RunState::Stopping, std::memory_order_acq_rel);
    kernel::work_queue().raise(quiet_);
  }
}

void Runner::on_quiet() {
  const RunState now = state_.load(std::memory_order_acquire);
  if (now == RunState::Idle || end_ != RunEnd::None) {
    return;
  }
  if (failed_.load(std::memory_order_acquire)) {
    end_ = RunEnd::Failed;
    why_.write(failure_.view());
    set_state(RunState::Stopping);
    // All may have gone before this. Not at once: the item may be raised already, and outlive who is destroyed then.
    kernel::work_queue().raise(gone_);
    return;
  }
  if (now != RunState::Running || !busy_.is_zero()) {
    return;  // somebody has found something to do since
  }
  end_ = judge();
  if (end_ != RunEnd::None) {
    set_state(RunState::Stopping);
  }
}

void Runner::on_worker_gone() {
  for (std::size_t i = 0; i < started_; ++i) {
    if (!workers_[i]->gone()) {
      return;
    }
  }
  if (state_.load(std::memory_order_relaxed) == RunState::Stopping && end_ != RunEnd::None) {
    end_run();
  }
}

void Runner::end_run() {
  ended_ns_ = now_ns();
  dismiss_workers();
  started_ = 0;
  graph_.drain_channels();
  state_.store(RunState::Idle, std::memory_order_relaxed);
  while (!observers_.empty()) {
    observers_.pop_front().run_ended();
  }
}

RunReport Runner::report() const {
  const RunState now = state_.load(std::memory_order_relaxed);
  const std::uint64_t until_ns = now == RunState::Idle ? ended_ns_ : now_ns();
  return {.state = now,
          .end = end_,
          .why = why_.view(),
          .runs = runs_,
          .executions = executions() - executions_before_,
          .ran_ns = runs_ == 0 ? 0 : until_ns - began_ns_};
}

std::uint64_t Runner::executions() const {
  std::uint64_t sum = 0;
  for (const Operator* const each : graph_.operators()) {
    sum += each->metrics().executions;
  }
  return sum;
}

}  // namespace guest::graph
