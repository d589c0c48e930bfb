// What the LLM service tells, on its way into the audit log (docs/audit.md, Of the LLM service).
#pragma once

#include "abi/audit.hpp"
#include "guest/llm/service/audit.hpp"
#include "guest/security/audit_queue.hpp"

namespace guest::llm {

/// The record of an entry, without its number. A model's id comes from whoever asked: what no id may have in it is '?',
/// and what is too long is cut.
abi::audit::Record record_of(const AuditEntry& entry);

class AuditTrail final : public Audit {
 public:
  /// `queue` outlives it.
  explicit AuditTrail(security::AuditQueue& queue) : queue_(queue) {}
  void record(const AuditEntry& entry) override { queue_.put(record_of(entry)); }

 private:
  security::AuditQueue& queue_;
};

}  // namespace guest::llm
