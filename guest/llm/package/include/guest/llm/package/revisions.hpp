// The newest revision of each package that was accepted, so that an older one is refused: a package that was signed
// once stays signed, also when what was wrong with it has been found.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/llm/package/manifest.hpp"

namespace guest::llm::package {

/// By id. From any thread.
class Revisions {
 public:
  static constexpr std::size_t kMaxIds = 64;

  /// `revision` of the package `id`, which is_id(), was accepted: what is older is not, from now on. An older one
  /// changes nothing, and 0 keeps a place for the id. False: there is no room for another id.
  [[nodiscard]] bool accept(std::string_view id, std::uint32_t revision);
  /// Nothing: none of this id.
  [[nodiscard]] std::optional<std::uint32_t> newest(std::string_view id) const;

 private:
  struct Entry {
    kernel::FixedText<kMaxIdBytes> id;
    std::uint32_t revision = 0;
  };
  mutable kernel::SpinLock lock_{"revisions", kernel::LockRank::Revisions};
  kernel::BoundedArray<Entry, kMaxIds> entries_;
};

}  // namespace guest::llm::package
