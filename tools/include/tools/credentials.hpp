// What opens a connection to a guest, and the new key after it was rotated.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "abi/control.hpp"
#include "tools/target.hpp"

namespace sisctl {

/// A token as --token and SIS_TOKEN give it: 96 hexadecimal digits, or @FILE with them. What is wrong is a usage error,
/// which does not repeat the token.
Outcome<abi::control::Token> read_token(const std::string& text);

/// The token to say Hello with: the one that was given, or one of all rights made under the machine's key.
Outcome<abi::control::Token> token_for(const Target& target);

/// `result` is that of `ctlkey`: a new key in it is written where `target` has its key (mode 0600, the old one or the
/// new one at any time), so that the machine can still be reached, and replaced by where it is. A key that cannot be
/// written stays in the result, whose reader then has the only copy; the failure says so.
Outcome<void> keep_new_key(const Target& target, nlohmann::json& result);

}  // namespace sisctl
