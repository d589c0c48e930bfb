#include "vmm/devices/npu/region_table.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "abi/npu_commands.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Reason;
using abi::npu::Status;
namespace region_flag = abi::npu::region_flag;

constexpr unsigned kPlaceBits = 12;
constexpr std::uint32_t kPlaceMask = (1u << kPlaceBits) - 1;
constexpr std::uint32_t kGenerations = std::numeric_limits<std::uint32_t>::max() >> kPlaceBits;

std::uint32_t handle_of(std::size_t place, std::uint32_t generation) {
  return (generation << kPlaceBits) | static_cast<std::uint32_t>(place);
}

bool allowed(std::uint32_t flags) {
  constexpr std::uint32_t kAccess = region_flag::kRead | region_flag::kWrite;
  if ((flags & ~(kAccess | region_flag::kImmutable)) != 0 || (flags & kAccess) == 0) return false;
  return (flags & region_flag::kImmutable) == 0 || (flags & region_flag::kWrite) == 0;
}

std::unexpected<RegionRefusal> refuse(Status status, Reason reason) {
  return std::unexpected(RegionRefusal{status, reason});
}

}  // namespace

void RegionTable::move_to(std::shared_ptr<const GuestMemory> memory) {
  memory_ = std::move(memory);
  packed_.clear();
  for (Place& place : places_) resolve(place);
}

/// Finds the bytes of a region, if it has some.
void RegionTable::resolve(Place& place) const {
  place.region = {};
  if (place.state.handle == 0 || memory_ == nullptr) return;
  const auto slice = memory_->slice(Gpa(place.state.address), place.state.bytes);
  if (!slice || std::bit_cast<std::uintptr_t>(slice->raw()) % kAlignment != 0) return;
  place.region = {.base = slice->raw(), .bytes = slice->size(), .flags = place.state.flags};
}

std::expected<std::uint32_t, RegionRefusal> RegionTable::add(std::uint64_t address, std::uint64_t bytes,
                                                             std::uint32_t flags) {
  if (!allowed(flags)) return refuse(Status::Parse, Reason::Flags);
  if (address % kAlignment != 0) return refuse(Status::Region, Reason::Misaligned);
  if (bytes == 0) return refuse(Status::Region, Reason::Dimension);
  if (count_ >= most_) return refuse(Status::Busy, Reason::RegionTable);
  auto place = std::ranges::find(places_, 0U, [](const Place& p) { return p.state.handle; });
  if (place == places_.end()) place = places_.emplace(places_.end());
  const std::uint32_t generation = place->uses % kGenerations + 1;
  place->state = {.address = address,
                  .bytes = bytes,
                  .flags = flags,
                  .handle = handle_of(static_cast<std::size_t>(place - places_.begin()), generation)};
  resolve(*place);
  if (place->region.base == nullptr) {
    place->state = {};
    return refuse(Status::Region, Reason::GuestMemory);
  }
  place->uses = generation;
  place->holders = 0;
  ++count_;
  return place->state.handle;
}

std::expected<void, RegionRefusal> RegionTable::remove(std::uint32_t handle) {
  Place* const place = place_of(handle);
  if (place == nullptr) return refuse(Status::Region, Reason::UnknownRegion);
  if (place->holders != 0) return refuse(Status::Busy, Reason::RegionInUse);
  place->state = {};
  place->region = {};
  packed_.drop(handle);
  --count_;
  return {};
}

void RegionTable::clear() {
  for (Place& place : places_) {
    place.state = {};
    place.region = {};
    place.holders = 0;
  }
  packed_.clear();
  count_ = 0;
}

const RegionTable::Place* RegionTable::place_of(std::uint32_t handle) const {
  const std::uint32_t index = handle & kPlaceMask;
  if (handle == abi::npu::kNoRegion || index >= places_.size() || places_[index].state.handle != handle) return nullptr;
  return &places_[index];
}

RegionTable::Place* RegionTable::place_of(std::uint32_t handle) {
  // const_cast: of this, which is not const here.
  return const_cast<Place*>(std::as_const(*this).place_of(handle));
}

const ::npu::Region* RegionTable::find(std::uint32_t handle) const {
  const Place* const place = place_of(handle);
  return place == nullptr || place->region.base == nullptr ? nullptr : &place->region;
}

void RegionTable::hold(std::span<const std::uint32_t> handles) {
  for (const std::uint32_t handle : handles) ++place_of(handle)->holders;
}

void RegionTable::release(std::span<const std::uint32_t> handles) {
  for (const std::uint32_t handle : handles) {
    if (Place* const place = place_of(handle); place != nullptr && place->holders != 0) --place->holders;
  }
}

std::shared_ptr<const PackedWeights> RegionTable::pack(const ::npu::Checked& command, const ::npu::Packing& packing,
                                                       std::uint64_t& budget) {
  const ::npu::Operand& weight = command.operands[abi::npu::operand::kWeight];
  const bool has_weights = command.opcode == abi::npu::Opcode::Gemm || command.opcode == abi::npu::Opcode::Conv2d;
  if (!has_weights || weight.data == nullptr) return nullptr;
  const ::npu::Region* const region = find(weight.region);
  if (region == nullptr || (region->flags & region_flag::kImmutable) == 0) return nullptr;
  const PackedStore::Key key{.region = weight.region,
                             .offset = static_cast<std::uint64_t>(weight.data - region->base),
                             .rows = weight.rows,
                             .row_bytes = weight.row_bytes,
                             .type = weight.type};
  return packed_.find_or_make(key, command, packing, budget);
}

std::vector<RegionState> RegionTable::save() const {
  std::vector<RegionState> states;
  for (const Place& place : places_) {
    if (place.state.handle != 0) states.push_back(place.state);
  }
  return states;
}

bool RegionTable::restore(std::span<const RegionState> regions) {
  clear();
  for (const RegionState& state : regions) {
    const std::uint32_t index = state.handle & kPlaceMask;
    const std::uint32_t generation = state.handle >> kPlaceBits;
    if (index >= most_ || generation == 0 || !allowed(state.flags) || state.bytes == 0) return false;
    if (state.address % kAlignment != 0) return false;
    if (index >= places_.size()) places_.resize(index + 1);
    Place& place = places_[index];
    if (place.state.handle != 0) return false;
    place.state = state;
    place.uses = generation;
    ++count_;
  }
  return true;
}

}  // namespace vmm::npu
