#include "llm_common.hpp"

#include <algorithm>

#include "guest/llm/service/owner.hpp"

namespace guest::control {

namespace error = abi::control::error;

std::expected<Llm*, Refusal> require_llm(Services& services) {
  if (services.llm == nullptr) {
    return refuse(error::kUnavailable, "",
                  "this machine has no LLM service: its scenario has no key 'llm', or no memory");
  }
  return services.llm;
}

llm::Caller llm_caller(const Services& services) {
  const security::Principal& who = services.caller;
  const llm::OwnerKind kind = who.connection == 0 ? llm::OwnerKind::Shell : llm::OwnerKind::Connection;
  std::string_view token;
  if (who.token) {
    const auto known = services.authority.tokens();
    const auto found = std::ranges::find_if(
        known, [&](const security::KnownToken& each) { return each.fields.id == *who.token && each.made_here; });
    token = found == known.end() ? std::string_view() : found->name.view();
  }
  return {.owner = llm::owner_id(kind, who.connection),
          .client_class = services.llm->clients.class_of(kind, token),
          .token = who.token.value_or(0),
          .rights = static_cast<std::uint8_t>(who.rights)};
}

std::unexpected<Refusal> refuse_llm(const kernel::NamedError& refused) {
  return refuse(refused.name, "", "{}", refused.detail.view());
}

std::unexpected<Refusal> refuse_llm(const llm::Refusal& refusal) {
  std::unexpected<Refusal> result = refuse_llm(refusal.error);
  result.error().fits_at_ns = refusal.fits_at_ns;
  return result;
}

void add_span(ResultMap& result, std::string_view name, std::uint64_t begin_ns, std::uint64_t end_ns) {
  if (begin_ns != 0 && end_ns != 0) {
    result.add(name, end_ns - begin_ns);
  }
}

void add_request(ResultMap& result, const llm::RequestStatus& status) {
  result.add("id", status.id);
  result.add("model", status.model.view());
  result.add("state", to_string(status.state));
  result.add("stop", to_string(status.stop));
  result.add_bool("finished", status.finished);
  result.add_bool("drained", status.drained);
  if (has_error(status.stop)) {
    result.add("error", status.error.name);
    result.add("message", status.error.detail.view());
  }
  result.add("prompt_tokens", status.prompt_tokens);
  result.add("tokens", status.tokens);
  result.add("max_tokens", status.max_tokens);
  result.add("priority", status.priority);
  if (status.session != 0) {
    result.add("session", status.session);
    result.add("session_tokens", status.session_tokens);
  }
  result.add("cycles", status.cycles);
  add_span(result, "waited_ns", status.submitted_ns, status.started_ns);
  add_span(result, "first_token_ns", status.submitted_ns, status.first_token_ns);
  add_span(result, "took_ns", status.submitted_ns, status.finished_ns);
  if (status.worst_gap_ns != 0) {
    result.add("worst_gap_ns", status.worst_gap_ns);
  }
  if (const std::uint64_t rate = status.milli_tokens_per_second(); rate != 0) {
    result.add("milli_tokens_per_second", rate);
  }
}

}  // namespace guest::control
