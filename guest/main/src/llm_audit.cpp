#include "llm_audit.hpp"

#include <algorithm>

#include "guest/llm/service/owner.hpp"

namespace guest {

void LlmAudit::record(const llm::AuditEntry& entry) {
  if (entry.caller.owner != llm::owner_id(llm::OwnerKind::Kernel) || entry.operation != llm::AuditOperation::Load) {
    return;
  }
  bool is_attached = false;
  {
    const kernel::SpinGuard guard(lock_);
    if (count_ < waiting_.size()) {
      waiting_[count_++] = entry.status == llm::AuditEntry::kOk ? std::string_view() : entry.decision;
    }
    is_attached = log_ != nullptr;
  }
  if (is_attached) {
    kernel::work_queue().raise(item_);
  }
}

void LlmAudit::attach(security::AuditLog& log) {
  {
    const kernel::SpinGuard guard(lock_);
    log_ = &log;
  }
  kernel::work_queue().raise(item_);
}

void LlmAudit::drain() {
  for (;;) {
    std::string_view decision;
    {
      const kernel::SpinGuard guard(lock_);
      if (count_ == 0) {
        return;
      }
      decision = waiting_[0];
      std::copy(waiting_.begin() + 1, waiting_.begin() + count_, waiting_.begin());
      --count_;
    }
    log_->add({.event = decision.empty() ? security::Event::CallDone : security::Event::CallRefused,
               .operation = "llm-load",
               .code = decision.substr(0, 24)});
  }
}

}  // namespace guest
