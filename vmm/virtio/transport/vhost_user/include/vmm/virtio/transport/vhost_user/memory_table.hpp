// The front end's memory map: guest memory handed over as descriptors, and its addresses of it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/memory/guest_memory.hpp"
#include "vmm/virtio/transport/vhost_user/message.hpp"

namespace vmm::virtio::vhost_user {

/// A SET_MEM_TABLE: guest memory, mapped, and the translation of front-end virtual addresses, in which the rings are
/// given, to guest-physical ones.
class MemoryTable {
 public:
  /// Maps what the message describes; its descriptors are consumed.
  /// @return an error that names the region which has no descriptor, wraps, overlaps another, or cannot be mapped
  static Result<MemoryTable> from_message(Message& message);

  /// Without regions: nothing can be translated.
  MemoryTable() = default;

  [[nodiscard]] const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  /// @return an error that names `what` if the address is in no region. Whether all of what lies there does is checked
  ///         by the user of the Gpa, against guest memory.
  [[nodiscard]] Result<Gpa> translate(std::uint64_t user_address, const char* what) const;

 private:
  std::shared_ptr<const GuestMemory> memory_;
  std::vector<MemoryRegionEntry> entries_;
};

}  // namespace vmm::virtio::vhost_user
