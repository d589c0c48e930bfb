// det and sched: what the scheduler has promised, to whom, and what came of it.
#include "guest/tasks/task_set.hpp"

#include <algorithm>
#include <optional>

#include "guest/kernel/panic.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

std::string_view reservation(const sched::ServerParameters& parameters) {
  return parameters.depletion == sched::Depletion::Hard ? "hard" : "soft";
}

std::uint64_t at_least_0(sched::Time time) { return static_cast<std::uint64_t>(std::max<sched::Time>(time, 0)); }

/// Of a server whose values do not fit together: each alone is in range, since the arguments were.
std::unexpected<Refusal> refuse_parameters(const sched::ServerParameters& wanted) {
  constexpr sched::Time kUs = 1000;
  if (wanted.deadline > wanted.period) {
    return refuse(error::kBadArgument, "deadline_us", "deadline_us: found {}, allowed: at most the period, {}",
                  wanted.deadline / kUs, wanted.period / kUs);
  }
  return refuse(error::kBadArgument, "budget_us", "budget_us: found {}, allowed: at most the deadline, {}",
                wanted.budget / kUs, wanted.deadline / kUs);
}

/// Why a server with valid parameters is not there, or has no promise.
std::unexpected<Refusal> refuse_server(std::string_view name, const tasks::Refusal& refusal) {
  switch (refusal.status) {
    case kernel::Status::Exists:
      return refuse(error::kBadArgument, "name", "there is a server '{}' already", kernel::escaped(name));
    case kernel::Status::Busy:
      return refuse(error::kBusy, "", "tasks are still ending: try again when 'det status' says off");
    case kernel::Status::NoMemory:
      return refuse(error::kBusy, "", "no memory, or {} servers are there already", tasks::kMaxItems);
    default:
      break;
  }
  kernel::require(refusal.placement.has_value(), "a server's CPU has gone");  // it was there when it was declared
  const sched::Admission& admission = refusal.placement->admission;
  return refuse(error::kFailed, "budget_us",
                "'{}' does not fit on CPU {}: it needs {} ppm, {} are promised of at most {}", kernel::escaped(name),
                refusal.placement->cpu, admission.density, admission.admitted, admission.bound);
}

}  // namespace

void add_histogram(ResultMap& into, std::string_view name, const kernel::Histogram& histogram) {
  using kernel::Percentile;
  ResultMap result(into.key_for(name));
  result.add("count", histogram.count());
  result.add("min_ns", histogram.min());
  constexpr struct {
    std::string_view name;
    Percentile percentile;
  } kShown[] = {{"p50_ns", Percentile::P50}, {"p95_ns", Percentile::P95}, {"p99_ns", Percentile::P99}};
  for (const auto& [key, percentile] : kShown) {
    if (const auto value = histogram.percentile(percentile)) {
      result.add(key, *value);
    }
  }
  result.add("max_ns", histogram.max());
  result.finish();
}

namespace {

void add_statistics(ResultMap& into, const threads::JobStatistics& statistics) {
  into.add("misses", statistics.misses.load(std::memory_order_relaxed));
  into.add("overruns", statistics.overruns.load(std::memory_order_relaxed));
  add_histogram(into, "release_jitter", statistics.release_jitter);
  add_histogram(into, "response", statistics.response);
  add_histogram(into, "tardiness", statistics.tardiness);
}

void add_server(ResultMap& result, const tasks::Server& server) {
  const sched::ServerParameters& parameters = server.parameters();
  result.add("name", server.name());
  result.add("id", server.id());
  result.add("budget_ns", at_least_0(parameters.budget));
  result.add("period_ns", at_least_0(parameters.period));
  result.add("deadline_ns", at_least_0(parameters.deadline));
  result.add("reservation", reservation(parameters));
  result.add_bool("reclaim", parameters.reclaim);
  result.add("density_ppm", sched::density(parameters));
  if (const auto cpu = server.cpu()) {
    const tasks::ServerState state = tasks::TaskSet::state_of(server);
    result.add("cpu", *cpu);
    result.add("state", !state.has_work ? "idle" : state.throttled ? "throttled" : "ready");
    result.add("budget_left_ns", at_least_0(state.budget_left));
    result.add("ran_ns", at_least_0(state.counters.ran));
    result.add("reclaimed_ns", at_least_0(state.counters.reclaimed));
    result.add("throttles", state.counters.throttles);
    result.add("max_overrun_ns", at_least_0(state.counters.max_overrun));
  }
  add_statistics(result, server.statistics());
}

void add_task(ResultMap& result, const tasks::Task& task) {
  result.add("name", task.name());
  if (task.server() != nullptr) {
    result.add("server", task.server()->name());
  }
  if (task.thread_id() != 0) {
    result.add("thread", task.thread_id());
  }
  if (const auto program = task.program()) {
    result.add("program", to_string(program->state));
    result.add("memory_bytes", program->pages * kernel::kPageBytes);
    if (program->state == process::ProgramState::Exited) {
      result.add("exit_status", program->status);
    } else if (program->state == process::ProgramState::Killed) {
      result.add("killed_for", program->cause.view());
    }
  }
  if (task.server() == nullptr && task.periodic()) {
    add_statistics(result, task.statistics());
  }
}

/// How many servers of the CPU run by each of the rules that a server can ask for.
void add_rules(ResultMap& into, std::uint32_t cpu) {
  std::uint64_t soft = 0;
  std::uint64_t reclaiming = 0;
  const tasks::TaskSet& set = tasks::task_set();
  for (const tasks::Server* server = set.first_server(); server != nullptr; server = tasks::TaskSet::after(*server)) {
    if (server->cpu() == cpu) {
      soft += server->parameters().depletion == sched::Depletion::Soft ? 1 : 0;
      reclaiming += server->parameters().reclaim ? 1 : 0;
    }
  }
  into.add("soft", soft);
  into.add("reclaiming", reclaiming);
}

/// Which rules run, and what they have promised.
HandlerResult show_state(ResultMap& result) {
  const tasks::TaskSet& set = tasks::task_set();
  result.add("state", to_string(set.state()));
  result.add("policy", "CBS, EDF; ties by server id");
  CborWriter& writer = result.key_for("cpus");
  const std::size_t token = writer.begin_array();
  std::size_t shown = 0;
  for (std::uint32_t cpu = 0; cpu < kernel::kMaxCpus; ++cpu) {
    const threads::Dispatcher* const dispatcher = threads::find_dispatcher(cpu);
    if (dispatcher == nullptr) {
      continue;
    }
    ResultMap entry(writer);
    entry.add("cpu", cpu);
    entry.add("bound_ppm", dispatcher->scheduler().bound());
    entry.add("admitted_ppm", dispatcher->scheduler().admitted());
    entry.add("servers", dispatcher->scheduler().servers());
    add_rules(entry, cpu);
    entry.add("switches", dispatcher->switches());
    entry.finish();
    ++shown;
  }
  writer.end(token, shown);
  return Handled::Now;
}

HandlerResult start_set(ResultMap& result) {
  if (const auto started = tasks::task_set().start(); !started) {
    const auto& [server, refusal, task, why] = started.error();
    if (task != nullptr) {
      return refuse(error::kFailed, "", "task '{}': {}: {}", kernel::escaped(task->name()), why.name,
                    why.detail.view());
    }
    if (server != nullptr) {
      return refuse_server(server->name(), refusal);
    }
    return refusal.status == kernel::Status::Busy
               ? HandlerResult(refuse(error::kBusy, "", "it is {} already", to_string(tasks::task_set().state())))
               : HandlerResult(refuse(error::kBusy, "", "no memory for the threads of all tasks"));
  }
  return show_state(result);
}

HandlerResult admit(const Arguments& arguments, ResultMap& result) {
  for (const std::string_view name : {"name", "budget_us", "period_us"}) {
    if (!arguments.has(name)) {
      return refuse(error::kMissingArgument, name, "{} is missing: det admit needs a name, a budget_us and a period_us",
                    name);
    }
  }
  const auto us = [&](std::string_view name, std::uint64_t fallback) {
    return static_cast<sched::Time>(arguments.number(name, fallback)) * 1000;
  };
  const std::uint64_t period_us = arguments.number("period_us");
  tasks::ServerSpec spec{.name = arguments.text("name"),
                         .parameters = {.budget = us("budget_us", 0),
                                        .period = us("period_us", 0),
                                        .deadline = us("deadline_us", period_us),
                                        .depletion = arguments.text("reservation") == "soft" ? sched::Depletion::Soft
                                                                                             : sched::Depletion::Hard,
                                        .reclaim = arguments.flag("reclaim")}};
  if (arguments.has("cpu")) {
    spec.cpu = static_cast<std::uint32_t>(arguments.number("cpu"));
  }
  const auto server = tasks::task_set().add_server(spec);
  if (!server) {
    const tasks::Refusal& refusal = server.error();
    if (refusal.status == kernel::Status::Invalid) {
      return refuse_parameters(spec.parameters);
    }
    if (refusal.status == kernel::Status::OutOfRange && !refusal.placement) {
      return refuse(error::kBadArgument, "cpu", "cpu: found {}, allowed: one that is online ('cpus' lists them)",
                    spec.cpu.value_or(0));
    }
    return refuse_server(spec.name, refusal);
  }
  add_server(result, **server);
  return Handled::Now;
}

HandlerResult remove(const Arguments& arguments, ResultMap& result) {
  if (!arguments.has("name")) {
    return refuse(error::kMissingArgument, "name", "det remove needs the name of a server");
  }
  const std::string_view name = arguments.text("name");
  if (const tasks::Server* const server = tasks::task_set().find_server(name);
      server != nullptr && server->standing()) {
    return refuse(error::kBusy, "name", "'{}' belongs to a graph, which has it as long as it runs", name);
  }
  switch (tasks::task_set().remove_server(name)) {
    case kernel::Status::Ok:
      return show_state(result);
    case kernel::Status::Busy:
      return refuse(error::kBusy, "name", "'{}' has tasks, which stay as long as the machine runs",
                    kernel::escaped(name));
    default:
      return refuse(error::kNotFound, "name", "there is no server '{}'; 'sched' lists them", kernel::escaped(name));
  }
}

}  // namespace

HandlerResult handle_det(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const std::string_view action = arguments.text("action", "status");
  if (action != "admit") {
    for (const std::string_view name : {"budget_us", "period_us", "deadline_us", "cpu", "reservation", "reclaim"}) {
      if (arguments.has(name)) {
        return refuse(error::kBadArgument, name, "{}: only for 'det admit', found with 'det {}'", name, action);
      }
    }
    if (action != "remove" && arguments.has("name")) {
      return refuse(error::kBadArgument, "name", "name: only for 'det admit' and 'det remove', found with 'det {}'",
                    action);
    }
  }
  if (action == "admit") {
    return admit(arguments, result);
  }
  if (action == "remove") {
    return remove(arguments, result);
  }
  if (action == "on") {
    return start_set(result);
  }
  if (action == "off" && tasks::task_set().stop() != kernel::Status::Ok) {
    return refuse(error::kBusy, "", "it is {} already", to_string(tasks::task_set().state()));
  }
  if (action == "reset") {
    tasks::task_set().reset_statistics();
  }
  return show_state(result);
}

HandlerResult handle_sched(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const tasks::TaskSet& set = tasks::task_set();
  const std::string_view wanted = arguments.text("server");
  if (arguments.has("server") && set.find_server(wanted) == nullptr) {
    return refuse(error::kNotFound, "server", "there is no server '{}'", kernel::escaped(wanted));
  }
  result.add("state", to_string(set.state()));
  CborWriter& servers = result.key_for("servers");
  const std::size_t servers_token = servers.begin_array();
  std::size_t count = 0;
  for (const tasks::Server* server = set.first_server(); server != nullptr; server = tasks::TaskSet::after(*server)) {
    if (wanted.empty() || server->name() == wanted) {
      ResultMap entry(servers);
      add_server(entry, *server);
      entry.finish();
      ++count;
    }
  }
  servers.end(servers_token, count);
  CborWriter& items = result.key_for("tasks");
  const std::size_t items_token = items.begin_array();
  count = 0;
  for (const tasks::Task* task = set.first_task(); task != nullptr; task = tasks::TaskSet::after(*task)) {
    if (wanted.empty() || (task->server() != nullptr && task->server()->name() == wanted)) {
      ResultMap entry(items);
      add_task(entry, *task);
      entry.finish();
      ++count;
    }
  }
  items.end(items_token, count);
  return Handled::Now;
}

}  // namespace guest::control
