#include "vmm/devices/npu/packed_weights.hpp"

#include <algorithm>
#include <utility>

namespace vmm::npu {

PackedWeights::PackedWeights(std::uint64_t bytes, std::shared_ptr<std::uint64_t> total)
    : data_(new(kAlignment) std::byte[bytes]), bytes_(bytes), total_(std::move(total)) {
  *total_ += bytes_;
}

PackedWeights::~PackedWeights() { *total_ -= bytes_; }

std::shared_ptr<const PackedWeights> PackedStore::find_or_make(const Key& key, const ::npu::Checked& command,
                                                               const ::npu::Packing& packing, std::uint64_t& budget) {
  // First, since it says whether the command's weights are any that a copy can be of.
  const std::uint64_t bytes = packing.bytes != nullptr ? packing.bytes(command) : 0;
  if (bytes < limits_.least || bytes > limits_.most) return nullptr;
  if (const auto found = copies_.find(key); found != copies_.end()) return found->second;
  const bool is_first = budget == limits_.per_turn;
  if ((bytes > budget && !is_first) || bytes > limits_.total - *total_) return nullptr;
  budget -= std::min(budget, bytes);
  auto made = std::make_shared<const PackedWeights>(bytes, total_);
  packing.pack(command, made->data());
  copies_.emplace(key, made);
  return made;
}

void PackedStore::drop(std::uint32_t region) {
  std::erase_if(copies_, [region](const auto& copy) { return copy.first.region == region; });
}

}  // namespace vmm::npu
