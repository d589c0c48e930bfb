// The option llm: models, and who signs them.
#pragma once

#include "types.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

TypePtr<Llm> llm_type();

/// What is wrong with 64 hexadecimal digits as a public key of Ed25519; empty: nothing.
std::string public_key_problem(const std::string& digits);

}  // namespace vmm::scenario
