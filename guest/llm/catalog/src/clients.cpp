#include "guest/llm/catalog/clients.hpp"

#include <algorithm>

namespace guest::llm {
namespace {

std::string_view name_of(OwnerKind kind) {
  switch (kind) {
    case OwnerKind::Kernel:
      return {};
    case OwnerKind::Shell:
      return "shell";
    case OwnerKind::Connection:
      return "control";
    case OwnerKind::Graph:
      return "graphs";
    case OwnerKind::Task:
      return "tasks";
  }
  return {};
}

}  // namespace

bool Clients::add(std::string_view member, std::uint32_t client_class) {
  if (find(member) != nullptr) {
    return false;
  }
  Member added{.name = {}, .client_class = client_class};
  added.name.write(member);
  return members_.push_back(added);
}

const Clients::Member* Clients::find(std::string_view name) const {
  const auto* const found =
      std::ranges::find_if(members_, [name](const Member& member) { return member.name.view() == name; });
  return found == members_.end() ? nullptr : found;
}

std::uint32_t Clients::class_of(OwnerKind kind, std::string_view token_name) const {
  const Member* member = nullptr;
  if (!token_name.empty()) {
    kernel::FixedText<kMaxMemberName> name;
    kernel::format_to(name, "{}{}", kTokenPrefix, token_name);
    member = find(name.view());
  }
  if (member == nullptr) {
    member = find(name_of(kind));
  }
  return member == nullptr ? 0 : member->client_class;
}

}  // namespace guest::llm
