// The kinds of operators that every kernel has (docs/graph-operators.md).
#pragma once

#include <span>

#include "guest/graph/operator.hpp"

namespace guest::graph {

/// For KindTable::add(). What some of them need from outside is in operators/services.hpp.
std::span<const OperatorKind> builtin_kinds();

}  // namespace guest::graph
