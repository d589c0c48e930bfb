// What the LLM service tells the audit log.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/kernel/format.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/work.hpp"
#include "guest/llm/service/audit.hpp"
#include "guest/security/audit_log.hpp"

namespace guest {

/// Models that the machine loads by itself: what others ask for is in the log as the command that they gave.
/// Entries come in any thread and wait for the loop, where the log is.
class LlmAudit final : public llm::Audit {
 public:
  constexpr LlmAudit() = default;

  void record(const llm::AuditEntry& entry) override;
  /// Where entries go from now on, those that wait too. Once, before the loop runs.
  void attach(security::AuditLog& log);

 private:
  /// More than there are models at a boot.
  static constexpr std::size_t kCapacity = 32;
  void drain();

  security::AuditLog* log_ = nullptr;
  kernel::SpinLock lock_{"llm-audit", kernel::LockRank::LlmAudit};  ///< of what waits
  std::array<std::string_view, kCapacity> waiting_{};               ///< decisions
  std::size_t count_ = 0;
  kernel::WorkItem item_{[](void* self) { static_cast<LlmAudit*>(self)->drain(); }, this};
};

}  // namespace guest
