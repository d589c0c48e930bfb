#include "boot_tasks.hpp"

#include "boot_config_step.hpp"
#include "boot_error.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/physical_memory.hpp"
#include "guest/process/machine/user_tasks.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest {
namespace {

constexpr std::string_view kRefused = "scheduler-refused";

[[noreturn]] void refuse_item(std::string_view kind, std::string_view name, std::uint32_t cpu,
                              const tasks::Refusal& refusal) {
  if (refusal.status == kernel::Status::OutOfRange) {
    refuse_boot(
        kernel::fail(kRefused, "{} '{}': there is no CPU {}, or it is off", kind, kernel::escaped(name), cpu).error());
  }
  const std::string_view why =
      refusal.status == kernel::Status::Exists ? "its name is there twice" : to_string(refusal.status);
  refuse_boot(kernel::fail(kRefused, "{} '{}': {}", kind, kernel::escaped(name), why).error());
}

/// A server that does not fit: what it asks for, and what there is.
[[noreturn]] void refuse_server(std::string_view name, const sched::Placement& placement) {
  const sched::Admission& admission = placement.admission;
  refuse_boot(kernel::fail(kRefused,
                           "server '{}' does not fit on CPU {}: it needs {} ppm, {} are promised of at most {}",
                           kernel::escaped(name), placement.cpu, admission.density, admission.admitted, admission.bound)
                  .error());
}

sched::Time time(std::uint64_t ns) { return static_cast<sched::Time>(ns); }

/// `standing`: its threads are not tasks of the set.
void add_server(const kernel::ServerConfig& config, bool standing) {
  const auto added = tasks::task_set().add_server(
      {.name = config.name.view(),
       .parameters = {.budget = time(config.budget_ns),
                      .period = time(config.period_ns),
                      .deadline = time(config.deadline_ns),
                      .depletion = config.soft ? sched::Depletion::Soft : sched::Depletion::Hard,
                      .reclaim = config.reclaim},
       .cpu = config.cpu,
       .standing = standing});
  if (!added && added.error().placement) {
    refuse_server(config.name.view(), *added.error().placement);
  }
  if (!added) {
    refuse_item("server", config.name.view(), config.cpu.value_or(0), added.error());
  }
}

/// Arguments are views of `config`, which stays.
tasks::ProgramLoad program(const kernel::TaskConfig& config) {
  const auto file = boot_archive().find(config.program.view());
  if (!file) {
    refuse_boot(kernel::fail(kRefused, "task '{}': there is no file '{}' in the boot archive",
                             kernel::escaped(config.name.view()), kernel::escaped(config.program.view()))
                    .error());
  }
  tasks::ProgramLoad load;
  load.file = file->data;
  load.max_pages = config.memory_bytes / kernel::kPageBytes;
  if (!config.llm_model.view().empty()) {
    load.llm = process::LlmGrant{.model = config.llm_model.view(),
                                 .max_tokens = config.llm_max_tokens,
                                 .rights = static_cast<std::uint8_t>(config.llm_rights)};
  }
  kernel::require(load.arguments.push_back(config.name.view()), "a program has room for no argument");
  std::string_view rest = config.arguments.view();
  while (!rest.empty()) {
    const std::size_t end = rest.find('\0');
    kernel::require(load.arguments.push_back(rest.substr(0, end)), "more arguments than the boot configuration has");
    rest.remove_prefix(end + 1);
  }
  return load;
}

void add_task(const kernel::TaskConfig& config, const kernel::BootConfig& of) {
  tasks::TaskSpec spec{.name = config.name.view(), .cpu = config.cpu.value_or(0), .load = tasks::GreedyLoad{}};
  if (config.server) {
    spec.server = tasks::task_set().find_server(of.servers[*config.server].name.view());
  }
  if (config.kind == kernel::TaskConfig::Kind::Program) {
    spec.load = program(config);
  } else if (config.kind == kernel::TaskConfig::Kind::Periodic) {
    spec.load = tasks::PeriodicLoad{.period = time(config.period_ns),
                                    .work = time(config.work_ns),
                                    .offset = time(config.offset_ns),
                                    .deadline = time(config.deadline_ns),
                                    .jobs = config.jobs};
  } else {
    spec.load = tasks::GreedyLoad{.start = time(config.start_ns), .length = time(config.length_ns)};
  }
  if (const auto added = tasks::task_set().add_task(spec); !added) {
    refuse_item("task", config.name.view(), spec.cpu, added.error());
  }
}

}  // namespace

void declare_tasks(const kernel::BootConfig& config) {
  if (config.servers.empty() && config.tasks.empty()) {
    return;
  }
  tasks::task_set().set_loader(process::start_user_tasks(config.unix_time_ns));
  for (std::size_t i = 0; i < config.servers.size(); ++i) {
    add_server(config.servers[i], config.llm.server == i);
  }
  for (const kernel::TaskConfig& task : config.tasks) {
    add_task(task, config);
  }
}

void start_tasks(const kernel::BootConfig& config) {
  if (config.manual_start || (config.servers.empty() && config.tasks.empty())) {
    return;
  }
  if (const auto started = tasks::task_set().start(); !started) {
    if (started.error().server != nullptr) {
      const tasks::Server& server = *started.error().server;
      if (const auto& placement = started.error().refusal.placement) {
        refuse_server(server.name(), *placement);
      }
      refuse_item("server", server.name(), 0, started.error().refusal);  // it had its CPU when it was declared
    }
    if (started.error().task != nullptr) {
      const auto& [name, detail] = started.error().why;
      refuse_boot(kernel::fail(kRefused, "task '{}': {}: {}", kernel::escaped(started.error().task->name()), name,
                               detail.view())
                      .error());
    }
    refuse_boot(kernel::fail(kRefused, "no memory for the threads of {} tasks", config.tasks.size()).error());
  }
}

}  // namespace guest
