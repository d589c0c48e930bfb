// The LLM service: its models, its thread, its clients.
#pragma once

#include "guest/control/llm.hpp"
#include "guest/kernel/boot_config.hpp"
#include "guest/llm/package/verifier.hpp"
#include "guest/security/audit_log.hpp"

namespace guest {

/// Makes the service that the scenario wants, and loads the models that are to be loaded with the machine; returns when
/// that is done. A model that is refused is told on the log, and later shown by `llmctl list`. Null: none is wanted, or
/// there is no memory. Refuses the boot where the limits do not fit each other. When the NPU is there and the servers
/// are declared; once.
control::Llm* start_llm(const kernel::BootConfig& config, llm::package::Trust& trust);

/// What the service has told and will tell goes to `log`.
void audit_llm(security::AuditLog& log);

}  // namespace guest
