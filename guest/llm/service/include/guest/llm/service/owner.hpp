// Ids of those to whom requests belong.
#pragma once

#include <cstdint>

#include "guest/llm/service/request.hpp"

namespace guest::llm {

/// What an owner is. Two of different kinds never have the same id.
enum class OwnerKind : std::uint8_t {
  Kernel,      ///< of number 0: the kernel itself, which loads models and submits nothing
  Shell,       ///< the console's
  Connection,  ///< of the control server, by its number
  Graph,
  Task,
};

/// `number`: counts those of a kind, and is never used again.
constexpr OwnerId owner_id(OwnerKind kind, std::uint32_t number = 0) {
  return static_cast<OwnerId>(kind) << 32 | number;
}

constexpr OwnerKind owner_kind(OwnerId owner) { return static_cast<OwnerKind>(owner >> 32); }
constexpr std::uint32_t owner_number(OwnerId owner) { return static_cast<std::uint32_t>(owner); }

}  // namespace guest::llm
