#include "boot_audit.hpp"

#include <optional>

#include "guest/arch/clock.hpp"
#include "guest/kernel/work.hpp"
#include "guest/llm/audit/audit_trail.hpp"
#include "guest/security/audit_queue.hpp"

namespace guest {
namespace {

constinit std::optional<security::AuditLog> log;
constinit std::optional<security::AuditQueue> queue;
constinit std::optional<llm::AuditTrail> trail;

}  // namespace

AuditParts start_audit() {
  log.emplace(arch::virtual_timer());
  queue.emplace(*log, kernel::work_queue());
  return {.log = *log, .of_llm = trail.emplace(*queue)};
}

}  // namespace guest
