#include "guest/control/audit.hpp"

#include "guest/control/services.hpp"

namespace guest::control {

using abi::control::Rights;
using security::Event;

namespace {

bool matters(Rights needed) {
  return abi::control::allows(needed, Rights::Submit) || abi::control::allows(needed, Rights::Admin);
}

}  // namespace

void audit(Services& services, const AuditedRequest& request, std::string_view code) {
  const bool harmless = code.empty() || code == abi::control::error::kCancelled;
  if (harmless && (!matters(request.needed))) {
    return;
  }
  const Event event = code.empty() ? Event::CallDone : request.hello ? Event::TokenRefused : Event::CallRefused;
  services.audit.add(
      {.event = event, .who = request.who, .bytes = request.bytes, .operation = request.op, .code = code});
}

}  // namespace guest::control
