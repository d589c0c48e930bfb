#include "guest/control/llm.hpp"

#include <algorithm>

#include "guest/llm/service/owner.hpp"

namespace guest::control {

bool Llm::note_connection(std::uint32_t number) {
  return std::ranges::find(connections_, number) != connections_.end() || connections_.push_back(number);
}

void Llm::close_connection(std::uint32_t number) {
  const auto* const found = std::ranges::find(connections_, number);
  if (found == connections_.end()) {
    return;
  }
  connections_.erase(static_cast<std::size_t>(found - connections_.begin()));
  service.close({.owner = llm::owner_id(llm::OwnerKind::Connection, number)});
}

}  // namespace guest::control
