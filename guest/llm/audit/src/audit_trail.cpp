#include "guest/llm/audit/audit_trail.hpp"

#include <algorithm>

#include "guest/llm/service/owner.hpp"

namespace guest::llm {
namespace {

using abi::audit::CallerKind;

static_assert(AuditEntry::kOk == abi::audit::kOk && AuditEntry::kReject == abi::audit::kReject &&
              AuditEntry::kDeadlineMiss == abi::audit::kDeadlineMiss);

CallerKind kind_of(OwnerId owner) {
  switch (owner_kind(owner)) {
    case OwnerKind::Kernel:
      return CallerKind::Kernel;
    case OwnerKind::Shell:
      return CallerKind::Console;
    case OwnerKind::Connection:
      return CallerKind::Connection;
    case OwnerKind::Graph:
      return CallerKind::Graph;
    case OwnerKind::Task:
      return CallerKind::Task;
  }
  return CallerKind::Kernel;
}

/// The kernel's own names, which all fit, but an error of the future may not.
template <std::size_t Size>
void set_name(char (&out)[Size], std::string_view name) {
  std::ranges::copy(name.substr(0, Size), out);
}

char of_an_id(char c) {
  const bool allowed =
      (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-';
  return allowed ? c : '?';
}

}  // namespace

abi::audit::Record record_of(const AuditEntry& entry) {
  abi::audit::Record record = {};
  record.time_ns = entry.at_ns;
  record.event = static_cast<std::uint8_t>(abi::audit::Event::Llm);
  record.rights = entry.caller.rights;
  record.caller = static_cast<std::uint8_t>(kind_of(entry.caller.owner));
  record.status = entry.status;
  record.connection = owner_number(entry.caller.owner);
  record.token = entry.caller.token;
  record.bytes = entry.prompt_bytes;
  set_name(record.operation, to_string(entry.operation));
  set_name(record.code, entry.decision);
  record.tokens = entry.tokens;
  record.request = entry.request;
  record.submitted_ns = entry.submitted_ns;
  record.began_ns = entry.began_ns;
  record.ended_ns = entry.ended_ns;
  record.fits_at_ns = entry.fits_at_ns;
  std::ranges::transform(entry.model.substr(0, sizeof(record.model)), record.model, of_an_id);
  std::ranges::copy(entry.prompt_sha256, record.prompt_sha256);
  return record;
}

}  // namespace guest::llm
