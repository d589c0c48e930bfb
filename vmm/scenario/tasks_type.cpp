#include "tasks_type.hpp"

#include "abi/boot_config.hpp"
#include "items.hpp"
#include "section.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""us;

constexpr std::chrono::nanoseconds kMaxPeriod(names::kMaxPeriodNs);

void check_server(Problems& problems, const std::string& key, const Node& node, const Server& server) {
  check_promise(
      problems, key, node,
      {.budget = server.budget, .period = server.period, .deadline = server.deadline.value_or(server.period)});
}

void check_task(Problems& problems, const std::string& key, const Node& node, const Task& task) {
  std::string given;
  int kinds = 0;
  for (const auto& [is_given, kind] :
       {std::pair(task.periodic.has_value(), "periodic"), std::pair(task.greedy.has_value(), "greedy"),
        std::pair(task.program.has_value(), "program")}) {
    if (is_given) given += std::string(kinds++ == 0 ? "" : " and ") + kind;
  }
  if (kinds != 1) {
    problems.add(node.at, key, kinds == 0 ? "none of periodic, greedy and program" : given,
                 "one of periodic, greedy and program");
  }
  if (!task.server.empty() && task.cpu) {
    problems.add(place(node, "cpu"), key + ".cpu", "a CPU beside a server",
                 "server or cpu: a server's tasks run where it is");
  }
}

void check_program(Problems& problems, const std::string& key, const Node& node, const UserProgram& program) {
  std::size_t bytes = 0;
  for (const std::string& argument : program.arguments) bytes += argument.size() + 1;
  if (bytes > names::kMaxArgumentBytes) {
    problems.add(place(node, "arguments"), key + ".arguments",
                 std::to_string(bytes) + " bytes, one for the end of each included",
                 "at most " + std::to_string(names::kMaxArgumentBytes));
  }
  const auto holds_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (std::ranges::any_of(program.arguments, holds_nul)) {
    problems.add(place(node, "arguments"), key + ".arguments", "a text with a NUL", "texts without");
  }
}

TypePtr<Server> server_type() {
  return section<Server>(
      {
          option("name", &Server::name, item_name(), "Name in reports, unique.", Presence::Required),
          option("budget", &Server::budget, budget_type(), "Processor time in each period.", Presence::Required),
          option("period", &Server::period, period_type(), "How often the budget comes anew.", Presence::Required),
          option("deadline", &Server::deadline, maybe(budget_type()),
                 "By when after the start of a period the budget is to be had. Without it: the period."),
          option("cpu", &Server::cpu, maybe(cpu_number()), "Without it: the first CPU that the server fits on."),
          option("reservation", &Server::reservation,
                 choice<Reservation>({{"hard", Reservation::Hard}, {"soft", Reservation::Soft}}),
                 "hard: without budget its tasks wait for the next period. soft: they go on, with a later deadline."),
          option(
              "reclaim", &Server::reclaim, boolean(),
              "Its budget lasts longer while other servers leave theirs: up to the bound, and nobody has less for it."),
      },
      check_server);
}

TypePtr<PeriodicLoad> periodic_type() {
  return section<PeriodicLoad>({
      option("period", &PeriodicLoad::period, fine_duration(10us, kMaxPeriod), "Between the releases of two jobs.",
             Presence::Required),
      option("work", &PeriodicLoad::work, fine_duration(1us, kMaxPeriod), "Processor time that each job takes.",
             Presence::Required),
      option("offset", &PeriodicLoad::offset, fine_duration(0ns, kMaxPeriod), "Of the first release."),
      option("deadline", &PeriodicLoad::deadline, maybe(fine_duration(1us, kMaxPeriod)),
             "By when after its release a job should be done. Without it: the period."),
      option("jobs", &PeriodicLoad::jobs, maybe(integer<unsigned>(1, 1'000'000'000)),
             "How many. Without it: as long as the machine runs."),
  });
}

TypePtr<GreedyLoad> greedy_type() {
  return section<GreedyLoad>({
      option("start", &GreedyLoad::start, fine_duration(0ns, kMaxPeriod), "When it begins, after the others."),
      option("length", &GreedyLoad::length, maybe(fine_duration(1us, kMaxPeriod)),
             "For how long. Without it: as long as the machine runs."),
  });
}

TypePtr<TaskLlm> task_llm_type() {
  return section<TaskLlm>({
      option("model", &TaskLlm::model, item_name(), "Id of the model that it may ask.", Presence::Required),
      option("max_tokens", &TaskLlm::max_tokens, integer<unsigned>(1, names::kMaxTaskLlmTokens),
             "The most that it may ask for in one request."),
      option("rights", &TaskLlm::rights,
             choice<TaskRights>(
                 {{"both", TaskRights::Both}, {"submit", TaskRights::Submit}, {"observe", TaskRights::Observe}}),
             "submit: requests and their cancellation. observe: answers."),
  });
}

TypePtr<UserProgram> program_type() {
  return section<UserProgram>(
      {
          option("file", &UserProgram::file, path(),
                 "An ELF file for AArch64 of at most 64 MiB, relative to the scenario's file.", Presence::Required),
          option("arguments", &UserProgram::arguments,
                 list(text({.max_bytes = names::kMaxArgumentBytes - 1, .words = "a text"}), 0, names::kMaxArguments),
                 "argv[1] and so on; argv[0] is the task's name. 512 bytes in all, with one for the end of each."),
          option("memory", &UserProgram::memory_bytes,
                 size(names::kMinTaskMemory, names::kMaxTaskMemory, names::kTaskMemoryUnit),
                 "The most that it may have: program, heap, stack and translation tables."),
          option("llm", &UserProgram::llm, maybe(task_llm_type()),
                 "Its handle to the LLM service. Without it: none. docs/user-tasks.md."),
      },
      check_program);
}

}  // namespace

TypePtr<Scheduler> scheduler_type() {
  return section<Scheduler>({
      option("bound", &Scheduler::bound_ppm, integer<unsigned>(1, names::kWholeCpuPpm),
             "Millionths of each CPU that servers may be promised. The rest is for everything else."),
      option("start", &Scheduler::start, choice<Start>({{"boot", Start::Boot}, {"manual", Start::Manual}}),
             "When servers get their promises and tasks begin: with the machine, or when it is told \"det on\"."),
      option("servers", &Scheduler::servers, list(server_type(), 0, names::kMaxServers),
             "Each a budget of processor time for its tasks. Of two with the same deadline the first goes first."),
  });
}

TypePtr<std::vector<Task>> tasks_type() {
  return list(
      section<Task>(
          {
              option("name", &Task::name, item_name(), "Name in reports, unique.", Presence::Required),
              option("server", &Task::server, item_name(),
                     "Name of the server that it runs in. Without it: best effort."),
              option("cpu", &Task::cpu, maybe(cpu_number()), "Of a task without server. Without it: the first CPU."),
              option("periodic", &Task::periodic, maybe(periodic_type()),
                     "Takes so much processor time in every period, and measures when it gets it."),
              option("greedy", &Task::greedy, maybe(greedy_type()), "Wants the CPU all the time."),
              option("program", &Task::program, maybe(program_type()), "Runs a user program at EL0."),
          },
          check_task),
      0, names::kMaxTasks);
}

void check_tasks(Problems& problems, const Node& root, const Scenario& scenario) {
  static const Node kNothing;
  const Node* const scheduler = value_of(root, "scheduler");
  const std::vector<Server>& servers = scenario.scheduler.servers;
  const std::vector<Node>& server_nodes = items_of(scheduler == nullptr ? kNothing : *scheduler, "servers");
  const std::vector<Node>& task_nodes = items_of(root, "tasks");
  check_names(problems, "scheduler.servers", server_nodes, servers);
  for (std::size_t i = 0; i < servers.size(); ++i) {
    check_cpu(problems, item_key("scheduler.servers", i), server_nodes[i], servers[i].cpu, scenario.machine.cpus);
  }
  check_names(problems, "tasks", task_nodes, scenario.tasks);
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    const Task& task = scenario.tasks[i];
    check_cpu(problems, item_key("tasks", i), task_nodes[i], task.cpu, scenario.machine.cpus);
    if (!task.server.empty() && std::ranges::find(servers, task.server, &Server::name) == servers.end()) {
      problems.add(place(task_nodes[i], "server"), item_key("tasks", i) + ".server", quote(task.server),
                   "the name of one of scheduler.servers");
    }
  }
}

}  // namespace vmm::scenario
