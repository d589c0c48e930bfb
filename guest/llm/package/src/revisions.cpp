#include "guest/llm/package/revisions.hpp"

#include <algorithm>

namespace guest::llm::package {

bool Revisions::accept(std::string_view id, std::uint32_t revision) {
  const auto is_of_id = [id](const Entry& entry) { return entry.id.view() == id; };
  const kernel::SpinGuard guard(lock_);
  if (auto* const known = std::ranges::find_if(entries_, is_of_id); known != entries_.end()) {
    known->revision = std::max(known->revision, revision);
    return true;
  }
  Entry entry;
  entry.id.write(id);
  entry.revision = revision;
  return entries_.push_back(entry);
}

std::optional<std::uint32_t> Revisions::newest(std::string_view id) const {
  const auto is_of_id = [id](const Entry& entry) { return entry.id.view() == id; };
  const kernel::SpinGuard guard(lock_);
  const auto* const known = std::ranges::find_if(entries_, is_of_id);
  return known == entries_.end() ? std::nullopt : std::optional(known->revision);
}

}  // namespace guest::llm::package
