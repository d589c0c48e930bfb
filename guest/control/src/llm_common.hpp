// What the commands of the LLM service share.
#pragma once

#include "guest/control/llm.hpp"
#include "guest/llm/service/request.hpp"
#include "handlers.hpp"

namespace guest::control {

/// The service, or `unavailable`: the machine has none.
std::expected<Llm*, Refusal> require_llm(Services& services);
/// Who runs the handler, as the service knows it: the console's shell, or a connection.
llm::Caller llm_caller(const Services& services);
/// The service's error as a command's: its name is the code.
std::unexpected<Refusal> refuse_llm(const kernel::NamedError& error);
/// With the time at which it would fit.
std::unexpected<Refusal> refuse_llm(const llm::Refusal& refusal);
/// "id", "model", "state" and so on: what is known of a request, but not what it says.
void add_request(ResultMap& result, const llm::RequestStatus& status);
/// The time from `begin_ns` to `end_ns`, under `name`; nothing where one of them is not known yet.
void add_span(ResultMap& result, std::string_view name, std::uint64_t begin_ns, std::uint64_t end_ns);

}  // namespace guest::control
