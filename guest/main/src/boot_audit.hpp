// The audit log, and the way into it for other threads.
#pragma once

#include "guest/llm/service/audit.hpp"
#include "guest/security/audit_log.hpp"

namespace guest {

struct AuditParts {
  security::AuditLog& log;  ///< the main loop's
  llm::Audit& of_llm;       ///< for the LLM service
};

/// Once; the clock is up. What is told before the loop runs waits for it.
AuditParts start_audit();

}  // namespace guest
