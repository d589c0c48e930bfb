// An operator that does nothing. In a file of its own: where the compiler sees its class, it guesses that each call of
// an operator is of this one, and does it in place.
#pragma once

#include <memory>

#include "guest/graph/operator.hpp"

namespace guest::bench {

/// Null: no memory.
std::unique_ptr<graph::OperatorCode> make_nothing();

}  // namespace guest::bench
