// The LLM service: its models, its thread, its clients.
#pragma once

#include "guest/control/llm.hpp"
#include "guest/kernel/boot_config.hpp"
#include "guest/llm/package/verifier.hpp"
#include "guest/llm/service/audit.hpp"

namespace guest {

/// Makes the service that the scenario wants, and loads the models that are to be loaded with the machine; returns when
/// that is done. A model that is refused is told on the log, and later shown by `llmctl list`. Null: none is wanted, or
/// there is no memory. Refuses the boot where the limits do not fit each other. When the NPU is there and the servers
/// are declared; once.
control::Llm* start_llm(const kernel::BootConfig& config, llm::package::Trust& trust, llm::Audit& audit);

/// Handles of user tasks reach the service, or if it is null say that there is none. Before tasks start.
void give_llm_to_tasks(control::Llm* llm);

}  // namespace guest
