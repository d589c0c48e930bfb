// Questions to the guest whose answers come in parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace vmm::machine {

/// Asks for `op`, which answers {OP: {name: ...}, left_off: how many}, until nothing is left off, and gives each answer
/// to `take`, which says whether to go on. In the thread that uses the client.
/// @param ask from the op and its arguments, the answer: a std::expected of JSON
/// @return true: all parts came. False: `ask` had no answer, `take` had enough, or the guest tells of parts without
/// end.
template <typename Ask, typename Take>
bool ask_pages(Ask&& ask, const char* op, nlohmann::json args, Take&& take) {
  constexpr unsigned kMaxPages = 256;
  std::uint64_t skip = 0;
  for (unsigned page = 0; page < kMaxPages; ++page) {
    args["skip"] = skip;
    const auto part = ask(op, args);
    if (!part || !take(*part)) return false;
    const auto left_off = part->find("left_off");
    if (left_off == part->end() || *left_off == 0) return true;
    const std::size_t taken = part->contains(op) ? (*part)[op].size() : 0;
    if (taken == 0) return false;
    skip += taken;
  }
  return false;
}

}  // namespace vmm::machine
