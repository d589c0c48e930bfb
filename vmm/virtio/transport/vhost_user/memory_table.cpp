#include "vmm/virtio/transport/vhost_user/memory_table.hpp"

#include <limits>
#include <string>

namespace vmm::virtio::vhost_user {

Result<MemoryTable> MemoryTable::from_message(Message& message) {
  MemoryTableHeader header;
  const std::size_t bytes = message.payload.size();
  if (bytes < sizeof header) return fail("SET_MEM_TABLE of " + std::to_string(bytes) + " bytes has no header");
  std::memcpy(&header, message.payload.data(), sizeof header);
  const std::size_t count = header.region_count;
  if (count > kMaxMemoryRegions) {
    return fail("SET_MEM_TABLE names " + std::to_string(count) + " regions; at most 8 are allowed");
  }
  if (bytes < sizeof header + count * sizeof(MemoryRegionEntry) || message.fds.size() != count) {
    return fail("SET_MEM_TABLE names " + std::to_string(count) + " regions, but has " + std::to_string(bytes) +
                " bytes and " + std::to_string(message.fds.size()) + " descriptors");
  }
  MemoryTable table;
  std::vector<GuestMemory::Region> regions;
  for (std::size_t i = 0; i < count; ++i) {
    MemoryRegionEntry entry;
    std::memcpy(&entry, message.payload.data() + sizeof header + i * sizeof entry, sizeof entry);
    const std::string name = "SET_MEM_TABLE region " + std::to_string(i);
    if (entry.size == 0 || entry.size - 1 > UINT64_MAX - entry.user_address ||
        entry.size > std::numeric_limits<std::size_t>::max() - entry.mmap_offset) {
      return fail(name + " of " + std::to_string(entry.size) + " bytes is empty or too large");
    }
    // From the file's start: the offset need not be a multiple of the page size (nor of a huge page).
    const auto mapped_bytes = static_cast<std::size_t>(entry.size + entry.mmap_offset);
    auto mapping = MappedRegion::map_shared(message.fds[i], mapped_bytes, 0);
    if (!mapping) return std::unexpected(std::move(mapping.error()).because_of(name));
    regions.push_back({.base = Gpa(entry.guest_address),
                       .size_bytes = static_cast<std::size_t>(entry.size),
                       .mapping = std::move(*mapping),
                       .skip_bytes = static_cast<std::size_t>(entry.mmap_offset)});
    table.entries_.push_back(entry);
  }
  message.fds.clear();
  auto memory = GuestMemory::create(std::move(regions));
  if (!memory) return std::unexpected(std::move(memory.error()).because_of("SET_MEM_TABLE"));
  table.memory_ = std::make_shared<const GuestMemory>(std::move(*memory));
  return table;
}

Result<Gpa> MemoryTable::translate(std::uint64_t user_address, const char* what) const {
  for (const MemoryRegionEntry& entry : entries_) {
    if (user_address < entry.user_address) continue;
    const std::uint64_t offset = user_address - entry.user_address;
    if (offset >= entry.size) continue;
    // Cannot wrap: GuestMemory has checked that the region's guest addresses do not.
    return Gpa(entry.guest_address + offset);
  }
  return fail("the " + std::string(what) + " at front-end address " + std::to_string(user_address) +
              " lies in no memory region");
}

}  // namespace vmm::virtio::vhost_user
