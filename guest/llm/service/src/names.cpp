#include <string_view>

#include "guest/llm/service/audit.hpp"
#include "guest/llm/service/request.hpp"

namespace guest::llm {

std::string_view to_string(RequestState state) {
  switch (state) {
    case RequestState::Queued:
      return "queued";
    case RequestState::Running:
      return "running";
    case RequestState::Finished:
      return "finished";
  }
  return "?";
}

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::None:
      return "none";
    case StopReason::End:
      return "end";
    case StopReason::Length:
      return "length";
    case StopReason::StopWord:
      return "stop-word";
    case StopReason::Budget:
      return "budget";
    case StopReason::Deadline:
      return "deadline";
    case StopReason::Cancelled:
      return "cancelled";
    case StopReason::Failed:
      return "failed";
    case StopReason::Refused:
      return "refused";
  }
  return "?";
}

std::string_view to_string(AuditOperation operation) {
  switch (operation) {
    case AuditOperation::Load:
      return "load";
    case AuditOperation::Unload:
      return "unload";
    case AuditOperation::Submit:
      return "submit";
    case AuditOperation::Refuse:
      return "refuse";
    case AuditOperation::Cancel:
      return "cancel";
    case AuditOperation::End:
      return "end";
    case AuditOperation::Close:
      return "close";
  }
  return "?";
}

}  // namespace guest::llm
