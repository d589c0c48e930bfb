// What the commands of tokens and of keys share.
#pragma once

#include <expected>
#include <string_view>

#include "guest/control/command.hpp"
#include "guest/security/authority.hpp"

namespace guest::control {

/// The authority's error as a command's. `field`: the argument at fault; empty: none.
std::unexpected<Refusal> refuse_authority(security::AuthorityError authority_error, std::string_view field);

}  // namespace guest::control
