#include "vmm/memory/guest_memory.hpp"

#include <algorithm>
#include <cstring>

namespace vmm {
namespace {

std::string hex(std::uint64_t value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[value & 15]);
    value >>= 4;
  } while (value != 0);
  return "0x" + text;
}

/// Guest memory is shared with another party that the compiler does not know of: a barrier on both sides of a bulk copy
/// keeps it from being repeated, split around later checks, or moved.
void compiler_barrier() { asm volatile("" ::: "memory"); }

bool aligned_to(const void* address, std::size_t size) {
  // reinterpret_cast: only the low bits of the address are looked at.
  return (reinterpret_cast<std::uintptr_t>(address) & (size - 1)) == 0;
}

template <typename U>
void load_one(const std::byte* from, void* to) {
  // reinterpret_cast: aligned (checked by the caller), and any bytes are a valid unsigned integer. Relaxed: order
  // between accesses is the caller's business, single access is ours.
  const U value = __atomic_load_n(reinterpret_cast<const U*>(from), __ATOMIC_RELAXED);
  std::memcpy(to, &value, sizeof value);
}

template <typename U>
void store_one(std::byte* to, const void* from) {
  U value;
  std::memcpy(&value, from, sizeof value);
  __atomic_store_n(reinterpret_cast<U*>(to), value, __ATOMIC_RELAXED);  // as in load_one
}

}  // namespace

std::string MemoryError::message() const {
  return hex(length_bytes) + " bytes at guest address " + hex(address.value()) +
         (kind == Kind::NotMapped ? " do not lie in guest memory" : " are not aligned");
}

GuestSlice GuestSlice::part(std::size_t offset, std::size_t length) const {
  offset = std::min(offset, size_);
  return {data_ + offset, std::min(length, size_ - offset)};
}

std::size_t GuestSlice::copy_out(std::span<std::byte> to) const {
  const std::size_t count = std::min(size_, to.size());
  if (count == 0) return 0;
  compiler_barrier();
  std::memcpy(to.data(), data_, count);
  compiler_barrier();
  return count;
}

std::size_t GuestSlice::copy_in(std::span<const std::byte> from) const {
  const std::size_t count = std::min(size_, from.size());
  if (count == 0) return 0;
  compiler_barrier();
  std::memcpy(data_, from.data(), count);
  compiler_barrier();
  return count;
}

Result<GuestMemory> GuestMemory::create(std::vector<Region> regions) {
  std::ranges::sort(regions, {}, &Region::base);
  const Region* previous = nullptr;
  for (const Region& region : regions) {
    const auto name = [&] { return hex(region.size_bytes) + " bytes at guest address " + hex(region.base.value()); };
    if (region.size_bytes == 0) return fail("memory region of " + name() + " is empty");
    if (!region.base.plus(region.size_bytes - 1)) {
      return fail("memory region of " + name() + " goes beyond the end of the address space");
    }
    const std::size_t mapped = region.mapping.size();
    if (region.skip_bytes > mapped || region.size_bytes > mapped - region.skip_bytes) {
      return fail("memory region of " + name() + " is larger than its mapping");
    }
    if (previous != nullptr && region.base.value() - previous->base.value() < previous->size_bytes) {
      return fail("memory region of " + name() + " overlaps the one at " + hex(previous->base.value()));
    }
    previous = &region;
  }
  GuestMemory memory;
  memory.regions_ = std::move(regions);
  return memory;
}

const GuestMemory::Region* GuestMemory::find(Gpa address) const {
  const auto after = std::ranges::upper_bound(regions_, address, {}, &Region::base);
  return after == regions_.begin() ? nullptr : &*std::prev(after);
}

MemoryResult<GuestSlice> GuestMemory::slice(Gpa address, std::uint64_t length_bytes) const {
  const Region* region = find(address);
  if (region != nullptr) {
    const std::uint64_t offset = address.value() - region->base.value();
    if (length_bytes <= region->size_bytes && offset <= region->size_bytes - length_bytes) {
      return GuestSlice(region->mapping.data() + region->skip_bytes + offset, static_cast<std::size_t>(length_bytes));
    }
  }
  return std::unexpected(MemoryError{MemoryError::Kind::NotMapped, address, length_bytes});
}

MemoryResult<> GuestMemory::append_slices(Gpa address, std::uint64_t length_bytes, std::vector<GuestSlice>& out) const {
  if (const auto whole = slice(address, length_bytes)) {
    out.push_back(*whole);
    return {};
  }
  const MemoryError error{MemoryError::Kind::NotMapped, address, length_bytes};
  const std::size_t before = out.size();
  std::uint64_t left = length_bytes;
  Gpa next = address;
  while (left != 0) {
    const Region* region = find(next);
    const std::uint64_t offset = region == nullptr ? 0 : next.value() - region->base.value();
    if (region == nullptr || offset >= region->size_bytes) break;
    const std::uint64_t count = std::min<std::uint64_t>(left, region->size_bytes - offset);
    out.emplace_back(region->mapping.data() + region->skip_bytes + offset, static_cast<std::size_t>(count));
    left -= count;
    const auto following = next.plus(count);
    if (!following) break;
    next = *following;
  }
  if (left == 0 && length_bytes != 0) return {};
  out.resize(before);
  return std::unexpected(error);
}

MemoryResult<> GuestMemory::copy_out(Gpa address, std::span<std::byte> to) const {
  std::vector<GuestSlice> slices;
  if (auto found = append_slices(address, to.size(), slices); !found) return found;
  for (const GuestSlice& part : slices) to = to.subspan(part.copy_out(to));
  return {};
}

MemoryResult<> GuestMemory::copy_in(Gpa address, std::span<const std::byte> from) const {
  std::vector<GuestSlice> slices;
  if (auto found = append_slices(address, from.size(), slices); !found) return found;
  for (const GuestSlice& part : slices) from = from.subspan(part.copy_in(from));
  return {};
}

std::uint64_t GuestMemory::size_bytes() const {
  std::uint64_t total = 0;
  for (const Region& region : regions_) total += region.size_bytes;
  return total;
}

void GuestMemory::load(const std::byte* from, void* to, std::size_t size) {
  if (size == 1) return load_one<std::uint8_t>(from, to);
  if (size == 2 && aligned_to(from, 2)) return load_one<std::uint16_t>(from, to);
  if (size == 4 && aligned_to(from, 4)) return load_one<std::uint32_t>(from, to);
  if (size == 8 && aligned_to(from, 8)) return load_one<std::uint64_t>(from, to);
  compiler_barrier();
  std::memcpy(to, from, size);
  compiler_barrier();
}

void GuestMemory::store(std::byte* to, const void* from, std::size_t size) {
  if (size == 1) return store_one<std::uint8_t>(to, from);
  if (size == 2 && aligned_to(to, 2)) return store_one<std::uint16_t>(to, from);
  if (size == 4 && aligned_to(to, 4)) return store_one<std::uint32_t>(to, from);
  if (size == 8 && aligned_to(to, 8)) return store_one<std::uint64_t>(to, from);
  compiler_barrier();
  std::memcpy(to, from, size);
  compiler_barrier();
}

}  // namespace vmm
