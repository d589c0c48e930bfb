// The option llm: models, who signs them, and the limits of the service that runs them.
#pragma once

#include "types.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

TypePtr<Llm> llm_type();

/// That of the service is one of the scheduler's.
void check_llm_server(Problems& problems, const Node& root, const Scenario& scenario);

/// What is wrong with 64 hexadecimal digits as a public key of Ed25519; empty: nothing.
std::string public_key_problem(const std::string& digits);

}  // namespace vmm::scenario
