#include "boot_llm.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <span>

#include "abi/control.hpp"
#include "boot_config_step.hpp"
#include "boot_error.hpp"
#include "boot_operators.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/llm/service/owner.hpp"
#include "guest/llm/tasks/task_port.hpp"
#include "guest/npu/npu.hpp"
#include "guest/process/machine/user_tasks.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest {
namespace {

/// What the service stands on, in the order in which it is made. It stays as long as the machine.
struct Parts {
  Parts(llm::Service& service, llm::package::Trust& trust, const llm::Clients& clients, control::LlmWaiters& waiters)
      : catalog(service, trust, boot_archive()), desk(service, catalog, clients, waiters) {}
  llm::Catalog catalog;
  control::Llm desk;
};

constinit llm::Clients clients;
constinit std::optional<control::LlmWaiters> waiters;
constinit std::optional<Parts> parts;
constinit std::optional<llm::TaskPorts> task_ports;

constexpr auto kAllRights = static_cast<std::uint8_t>(abi::control::Rights::All);

template <typename To, typename From>
void set(To& option, const std::optional<From>& said) {
  if (said) {
    option = *said;
  }
}

llm::ServiceOptions options_of(const kernel::LlmConfig& config) {
  llm::ServiceOptions options{.models = llm::Catalog::kMaxModels};
  const kernel::LlmLimits& limits = config.limits;
  set(options.in_flight, limits.in_flight);
  set(options.queue, limits.queue);
  set(options.requests, limits.requests);
  set(options.requests_per_owner, limits.requests_per_owner);
  set(options.prompt_bytes, limits.prompt_bytes);
  set(options.stream_chunks, limits.stream_chunks);
  set(options.step_tokens, limits.step_tokens);
  set(options.sessions, limits.sessions);
  set(options.session_bytes, limits.session_bytes);
  set(options.period_ns, limits.period_ns);
  set(options.tokens_per_period, limits.tokens_per_period);
  set(options.cycles_per_period, limits.cycles_per_period);
  set(options.hold_periods, limits.hold_periods);
  // docs/scenario.md: none of them is more than there may be requests.
  for (std::uint32_t* const part : {&options.in_flight, &options.queue, &options.requests_per_owner}) {
    *part = std::min(*part, options.requests);
  }
  static_assert(abi::boot_config::kMaxClasses == llm::ServiceOptions::kMaxClasses);
  for (const kernel::LlmClassConfig& said : config.classes) {
    llm::ClientClass one{.tokens_per_period = said.tokens_per_period, .in_flight = said.in_flight};
    one.name.write(said.name.view());
    kernel::require(options.classes.push_back(one), "no room for a class of clients");
  }
  return options;
}

void name_clients(const kernel::LlmConfig& config) {
  for (std::uint32_t i = 0; i < config.classes.size(); ++i) {
    for (const kernel::LlmClassConfig::Member& member : config.classes[i].members) {
      kernel::require(clients.add(member.view(), i), "no room for a member of a class");
    }
  }
}

/// Of the scenario's server, where it has its promise, or best effort.
threads::ThreadOptions thread_options(const kernel::BootConfig& config) {
  threads::ThreadOptions options{.name = "llm", .cpu = kernel::cpu_index()};
  if (config.llm.server) {
    tasks::Server* const server = tasks::task_set().find_server(config.servers[*config.llm.server].name.view());
    kernel::require(server != nullptr && server->cpu(), "the server of the LLM service has no promise");
    options.cpu = *server->cpu();
    options.server = &server->schedulable();
  }
  return options;
}

/// The models of a boot, which a thread loads while the boot waits: it may wait itself, for the NPU.
struct BootLoad {
  std::span<const kernel::ModelConfig> models;
  llm::Catalog& catalog;
  std::atomic<bool> done{false};
};

void load_models(void* argument) {
  auto& load = *static_cast<BootLoad*>(argument);
  for (const kernel::ModelConfig& model : load.models) {
    if (!model.load) {
      continue;
    }
    const kernel::Outcome loaded =
        load.catalog.load({.owner = llm::owner_id(llm::OwnerKind::Kernel), .rights = kAllRights}, model.name.view());
    if (loaded) {
      kernel::log_info("llm: model '{}' is loaded", model.name.view());
    } else {
      kernel::log_error("llm: model '{}' is refused: {}: {}", model.name.view(), loaded.error().name,
                        loaded.error().detail.view());
    }
  }
  load.done.store(true, std::memory_order_release);
}

/// The boot runs in the idle thread, which must not wait as others do: interrupts let the loader go on.
void wait_for(BootLoad& load) {
  const auto thread = threads::spawn({.name = "llm-load", .cpu = kernel::cpu_index()}, load_models, &load);
  if (!thread) {
    kernel::log_error("llm: no memory for the thread that loads the models");
    return;
  }
  arch::mask_irq();
  while (!load.done.load(std::memory_order_acquire)) {
    arch::wfi();
    arch::unmask_irq();
    arch::mask_irq();
  }
  arch::unmask_irq();
}

}  // namespace

control::Llm* start_llm(const kernel::BootConfig& config, llm::package::Trust& trust, llm::Audit& audit) {
  if (!config.llm.wanted) {
    return nullptr;
  }
  const llm::ServiceOptions options = options_of(config.llm);
  if (const kernel::Outcome checked = llm::check(options); !checked) {
    refuse_boot(checked.error());
  }
  waiters.emplace();
  auto made = llm::Service::make(npu::npu(), options, audit, &waiters->changed());
  if (!made) {
    kernel::log_error("llm: there is no service: {}", made.error().detail.view());
    return nullptr;
  }
  llm::Service& service = *made->release();
  if (service.start(thread_options(config)) != kernel::Status::Ok) {
    kernel::log_error("llm: there is no service: no memory for its thread");
    return nullptr;
  }
  name_clients(config.llm);
  give_operators(service, clients.class_of(llm::OwnerKind::Graph));
  parts.emplace(service, trust, clients, *waiters);
  if (std::ranges::none_of(config.llm.models, &kernel::ModelConfig::load)) {
    return &parts->desk;
  }
  BootLoad load{.models = {config.llm.models.begin(), config.llm.models.size()}, .catalog = parts->catalog};
  wait_for(load);
  return &parts->desk;
}

void give_llm_to_tasks(control::Llm* llm) {
  task_ports.emplace(llm == nullptr ? nullptr : &llm->service, clients.class_of(llm::OwnerKind::Task));
  process::set_llm_source(*task_ports);
}

}  // namespace guest
