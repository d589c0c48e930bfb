// Which class of the LLM service's clients somebody belongs to (docs/llm.md, Budgets).
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/llm/service/owner.hpp"

namespace guest::llm {

/// Filled at boot, then constant.
class Clients {
 public:
  static constexpr std::size_t kMaxMembers = 64;
  static constexpr std::size_t kMaxMemberName = 40;  ///< "token:" and a token's name
  static constexpr std::string_view kTokenPrefix = "token:";

  /// `member`, at most kMaxMemberName bytes, belongs to this class: "shell", "control", "graphs", "tasks", or
  /// "token:NAME". False: it is there, or there is no room.
  [[nodiscard]] bool add(std::string_view member, std::uint32_t client_class);
  /// Of an owner of this kind; of a connection, with a token of this name (empty: of none), which goes before the kind.
  /// 0: nobody says.
  [[nodiscard]] std::uint32_t class_of(OwnerKind kind, std::string_view token_name = {}) const;

 private:
  struct Member {
    kernel::FixedText<kMaxMemberName> name;
    std::uint32_t client_class = 0;
  };
  [[nodiscard]] const Member* find(std::string_view name) const;

  kernel::BoundedArray<Member, kMaxMembers> members_;
};

}  // namespace guest::llm
