#include "guest/npu/region_table.hpp"

#include <algorithm>

namespace guest::npu {
namespace {

using abi::npu::Reason;
using abi::npu::Status;
namespace region_flag = abi::npu::region_flag;

bool allowed(std::uint32_t flags) {
  constexpr std::uint32_t kAccess = region_flag::kRead | region_flag::kWrite;
  if ((flags & ~(kAccess | region_flag::kImmutable)) != 0 || (flags & kAccess) == 0) {
    return false;
  }
  return (flags & region_flag::kImmutable) == 0 || (flags & region_flag::kWrite) == 0;
}

std::unexpected<Refusal> refuse(Status status, Reason reason) { return std::unexpected(Refusal{status, reason}); }

}  // namespace

std::expected<std::uint32_t, Refusal> RegionTable::add(std::span<std::byte> memory, std::uint32_t flags) {
  if (!allowed(flags)) {
    return refuse(Status::Parse, Reason::Flags);
  }
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % kAlignment != 0) {  // the address as a number
    return refuse(Status::Region, Reason::Misaligned);
  }
  if (memory.empty()) {
    return refuse(Status::Region, Reason::Dimension);
  }
  if (count_ >= most_) {
    return refuse(Status::Busy, Reason::RegionTable);
  }
  Place& place = *std::ranges::find(places_, abi::npu::kNoRegion, &Place::handle);
  constexpr std::uint32_t kGenerations = ~std::uint32_t{0} >> kPlaceBits;
  place.uses = place.uses % kGenerations + 1;
  place.region = {.base = memory.data(), .bytes = memory.size(), .flags = flags};
  place.accelerator_handle.store(abi::npu::kNoRegion, std::memory_order_relaxed);
  place.handle = place.uses << kPlaceBits | static_cast<std::uint32_t>(&place - places_.data());
  ++count_;
  ++version_;
  return place.handle;
}

const RegionTable::Place* RegionTable::find(std::uint32_t handle) const {
  const std::size_t index = place_of(handle);
  const bool there = handle != abi::npu::kNoRegion && index < places_.size() && places_[index].handle == handle;
  return there ? &places_[index] : nullptr;
}

std::expected<void, Refusal> RegionTable::removable(std::uint32_t handle) const {
  const Place* const place = find(handle);
  if (place == nullptr) {
    return refuse(Status::Region, Reason::UnknownRegion);
  }
  // Acquire pairs with the release in release(): the job that held it is done with its bytes.
  if (place->holders.load(std::memory_order_acquire) != 0) {
    return refuse(Status::Busy, Reason::RegionInUse);
  }
  return {};
}

std::expected<void, Refusal> RegionTable::remove(std::uint32_t handle) {
  const auto fine = removable(handle);
  if (fine) {
    Place& place = places_[place_of(handle)];
    place.handle = abi::npu::kNoRegion;
    place.region = {};
    --count_;
    ++version_;
  }
  return fine;
}

void RegionTable::hold(std::span<const abi::npu::Command> commands, RegionSet& held) {
  for (const abi::npu::Command& command : commands) {
    for (const abi::npu::TensorRef& operand : command.operands) {
      const std::size_t place = place_of(operand.region);
      if (find(operand.region) != nullptr && !held.contains(place)) {
        held.add(place);
        places_[place].holders.fetch_add(1, std::memory_order_relaxed);  // remove() comes from the same caller
      }
    }
  }
}

void RegionTable::hold(const RegionSet& regions) {
  regions.for_each([this](std::size_t place) {
    places_[place].holders.fetch_add(1, std::memory_order_relaxed);  // as above
  });
}

void RegionTable::release(const RegionSet& regions) {
  regions.for_each([this](std::size_t place) {
    places_[place].holders.fetch_sub(1, std::memory_order_release);  // pairs with the acquire in remove()
  });
}

}  // namespace guest::npu
