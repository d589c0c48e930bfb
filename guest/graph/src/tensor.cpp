#include "guest/graph/tensor.hpp"

#include <cstring>
#include <memory>

#include "guest/kernel/panic.hpp"

namespace guest::graph {
namespace {

constexpr std::uint64_t round_up(std::uint64_t bytes) {
  return (bytes + TensorArena::kDataAlignment - 1) / TensorArena::kDataAlignment * TensorArena::kDataAlignment;
}

}  // namespace

std::uint64_t TensorArena::book_bytes(std::uint32_t tensors) {
  return tensors * sizeof(Descriptor) +
         round_up(ExtentPool::records_for(std::uint64_t{tensors} + kSpares) * sizeof(ExtentPool::Record));
}

std::uint64_t TensorArena::memory_for(std::uint32_t tensors, std::uint64_t data_bytes) {
  if (tensors == 0 || tensors > kMaxTensors || data_bytes > ExtentPool::kMaxUnits * ExtentPool::kUnitBytes) {
    return 0;
  }
  return kDataAlignment - 1 + book_bytes(tensors) + round_up(data_bytes);
}

kernel::Status TensorArena::start(std::span<std::byte> memory, std::uint32_t tensors) {
  kernel::require(descriptors_.empty(), "a tensor arena is started twice");
  static_assert(alignof(Descriptor) == kDataAlignment && alignof(ExtentPool::Record) <= kDataAlignment);
  if (tensors == 0 || tensors > kMaxTensors) {
    return kernel::Status::Invalid;
  }
  void* place = memory.data();
  std::size_t left_bytes = memory.size();
  if (std::align(kDataAlignment, book_bytes(tensors) + kDataAlignment, place, left_bytes) == nullptr) {
    return kernel::Status::NoMemory;
  }
  // Memory of the caller that nobody else uses: objects are constructed there before they are used.
  auto* const descriptors = static_cast<Descriptor*>(place);
  void* const after_descriptors = descriptors + tensors;
  auto* const records = static_cast<ExtentPool::Record*>(after_descriptors);
  std::uninitialized_default_construct_n(descriptors, tensors);
  std::uninitialized_default_construct_n(records, ExtentPool::records_for(std::uint64_t{tensors} + kSpares));
  const std::uint64_t units = (left_bytes - book_bytes(tensors)) / ExtentPool::kUnitBytes;
  data_ = static_cast<std::byte*>(place) + book_bytes(tensors);
  data_bytes_ = (units < ExtentPool::kMaxUnits ? units : ExtentPool::kMaxUnits) * ExtentPool::kUnitBytes;
  pool_.start(data_bytes_ / ExtentPool::kUnitBytes,
              {records, ExtentPool::records_for(std::uint64_t{tensors} + kSpares)});
  descriptors_ = {descriptors, tensors};
  for (std::uint32_t i = 0; i < tensors; ++i) {
    descriptors[i].next_free = i + 1 < tensors ? i + 1 : kNoDescriptor;
  }
  first_free_ = 0;
  return kernel::Status::Ok;
}

std::uint64_t TensorArena::used_bytes() const {
  return data_bytes_ - (pool_.free_units() + spare_units_) * ExtentPool::kUnitBytes;
}

/// Gives `units` to the descriptor. False: they are not to be had.
bool TensorArena::take_extent(Descriptor& descriptor, std::uint64_t units) {
  descriptor.room_bytes = units * ExtentPool::kUnitBytes;
  for (Spare& spare : spares_) {
    if (spare.units == units) {
      descriptor.extent = spare.extent;
      descriptor.data = spare.data;
      spare.units = 0;
      spare_units_ -= units;
      return true;
    }
  }
  std::optional<ExtentPool::Extent> extent = pool_.allocate(units);
  if (!extent && spare_units_ != 0) {
    release_spares();
    extent = pool_.allocate(units);
  }
  if (extent) {
    descriptor.extent = extent->record;
    descriptor.data = data_ + extent->first_unit * ExtentPool::kUnitBytes;
  }
  return extent.has_value();
}

void TensorArena::give_extent(const Descriptor& descriptor) {
  Spare& spare = spares_[next_spare_];
  next_spare_ = (next_spare_ + 1) % kSpares;
  if (spare.units != 0) {
    pool_.release(spare.extent);
    spare_units_ -= spare.units;
  }
  spare = {
      .units = descriptor.room_bytes / ExtentPool::kUnitBytes, .extent = descriptor.extent, .data = descriptor.data};
  spare_units_ += spare.units;
}

/// So that they join their neighbours.
void TensorArena::release_spares() {
  for (Spare& spare : spares_) {
    if (spare.units != 0) {
      pool_.release(spare.extent);
      spare.units = 0;
    }
  }
  spare_units_ = 0;
}

/// A free descriptor with memory for `bytes`, or kNoDescriptor.
std::uint32_t TensorArena::take(std::uint64_t bytes) {
  const kernel::SpinGuard guard(lock_);
  if (first_free_ == kNoDescriptor) {
    ++refused_no_descriptor_;
    return kNoDescriptor;
  }
  const std::uint32_t index = first_free_;
  Descriptor& descriptor = descriptors_[index];
  descriptor.extent = ExtentPool::kNone;
  descriptor.data = nullptr;
  descriptor.room_bytes = 0;
  if (bytes != 0 && !take_extent(descriptor, (bytes - 1) / ExtentPool::kUnitBytes + 1)) {
    ++refused_no_memory_;
    return kNoDescriptor;
  }
  first_free_ = descriptor.next_free;
  ++allocated_;
  ++live_;
  peak_live_ = live_ > peak_live_ ? live_ : peak_live_;
  const std::uint64_t used = used_bytes();
  peak_used_bytes_ = used > peak_used_bytes_ ? used : peak_used_bytes_;
  return index;
}

kernel::Result<TensorRef> TensorArena::allocate(const TensorInfo& info) {
  const kernel::Result<std::uint64_t> bytes = bytes_of(info.dtype, info.shape);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  const std::uint32_t index = take(*bytes);
  if (index == kNoDescriptor) {
    return std::unexpected(kernel::Status::NoMemory);
  }
  Descriptor& descriptor = descriptors_[index];
  descriptor.bytes = *bytes;
  descriptor.info = info;
  // Relaxed: taking it under the lock came after whoever freed it.
  const std::uint64_t state = descriptor.state.load(std::memory_order_relaxed);
  // Release: who gets at it by a bare handle finds it complete (acquire in add_reference() and find()).
  descriptor.state.store(state + 1, std::memory_order_release);
  return TensorRef(*this, TensorHandle{(generation_of(state) << kHandleGenerationShift) | index});
}

/// Never 0, so that no handle of a tensor is TensorHandle::None.
std::uint32_t TensorArena::next_generation(std::uint32_t generation) {
  return generation == kHandleIndex ? 1 : generation + 1;
}

void TensorArena::free(Descriptor& descriptor) {
  const kernel::SpinGuard guard(lock_);
  if (descriptor.extent != ExtentPool::kNone) {
    give_extent(descriptor);
  }
  const std::uint32_t generation = generation_of(descriptor.state.load(std::memory_order_relaxed));
  // Relaxed: the next use begins under the lock.
  descriptor.state.store(std::uint64_t{next_generation(generation)} << kGenerationShift, std::memory_order_relaxed);
  descriptor.next_free = first_free_;
  first_free_ = static_cast<std::uint32_t>(&descriptor - descriptors_.data());
  --live_;
}

bool TensorArena::add_reference(TensorHandle handle) {
  Descriptor* const descriptor = find(handle);
  if (descriptor == nullptr) {
    return false;
  }
  std::uint64_t state = descriptor->state.load(std::memory_order_relaxed);
  // By exchange and not by addition: what was freed meanwhile must not come to life.
  while (is_of(state, handle) && references_of(state) != kReferences) {
    if (descriptor->state.compare_exchange_weak(state, state + 1, std::memory_order_acquire,
                                                std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void TensorArena::release(TensorHandle handle) {
  Descriptor& descriptor = live(handle);
  // Release: what this owner did with the tensor comes before the last owner frees it (acquire), or finds itself alone
  // (acquire in find()).
  const std::uint64_t before = descriptor.state.fetch_sub(1, std::memory_order_acq_rel);
  kernel::require(is_of(before, handle), "a tensor is released more often than it was shared");
  if (references_of(before) == 1) {
    free(descriptor);
  }
}

std::optional<TensorRef> TensorArena::adopt(TensorHandle handle) {
  if (find(handle) == nullptr) {
    stale_handles_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return TensorRef(*this, handle);
}

std::optional<TensorRef> TensorArena::share(TensorHandle handle) {
  if (!add_reference(handle)) {
    stale_handles_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return TensorRef(*this, handle);
}

/// The only function here that copies the bytes of tensors.
void TensorArena::copy(std::span<std::byte> to, std::span<const std::byte> from) {
  if (!from.empty()) {  // a null pointer is not for memcpy
    std::memcpy(to.data(), from.data(), from.size());
    bytes_copied_.fetch_add(from.size(), std::memory_order_relaxed);
  }
}

kernel::Result<TensorRef> TensorArena::clone(const TensorRef& from) {
  kernel::Result<TensorRef> made = allocate(from.info());
  if (made) {
    copy(made->writable(), from.data());
  }
  return made;
}

kernel::Status TensorArena::write(TensorRef& to, std::uint64_t offset, std::span<const std::byte> bytes) {
  const std::span<std::byte> room = to.writable();
  if (offset > room.size() || bytes.size() > room.size() - offset) {
    return kernel::Status::OutOfRange;
  }
  copy(room.subspan(offset), bytes);
  return kernel::Status::Ok;
}

TensorStatistics TensorArena::statistics() const {
  const kernel::SpinGuard guard(lock_);
  return {.capacity = static_cast<std::uint32_t>(descriptors_.size()),
          .live = live_,
          .peak_live = peak_live_,
          .allocated = allocated_,
          .refused_no_descriptor = refused_no_descriptor_,
          .refused_no_memory = refused_no_memory_,
          .stale_handles = stale_handles_.load(std::memory_order_relaxed),
          .memory_bytes = data_bytes_,
          .used_bytes = used_bytes(),
          .peak_used_bytes = peak_used_bytes_,
          .bytes_copied = bytes_copied_.load(std::memory_order_relaxed)};
}

// ---- TensorRef ------------------------------------------------------------------------------------------------------

TensorRef TensorRef::share() const {
  kernel::require(handle_ != TensorHandle::None && arena_->add_reference(handle_), "share of a tensor that is gone");
  return {*arena_, handle_};
}

bool TensorRef::unique() const {
  kernel::require(handle_ != TensorHandle::None, "a reference to no tensor is used");
  // Acquire pairs with the release in TensorArena::release().
  return TensorArena::references_of(arena_->live(handle_).state.load(std::memory_order_acquire)) == 1;
}

std::span<const std::byte> TensorRef::data() const {
  kernel::require(handle_ != TensorHandle::None, "a reference to no tensor is used");
  const TensorArena::Descriptor& descriptor = arena_->live(handle_);
  return {descriptor.data, descriptor.bytes};
}

std::span<std::byte> TensorRef::writable() {
  kernel::require(unique(), "a tensor with several owners is written");
  const TensorArena::Descriptor& descriptor = arena_->live(handle_);
  return {descriptor.data, descriptor.bytes};
}

void TensorRef::stamp(std::uint32_t schema, std::uint32_t origin, std::uint64_t sequence, std::uint64_t timestamp_ns) {
  kernel::require(unique(), "a tensor with several owners is stamped");
  TensorInfo& info = arena_->live(handle_).info;
  info.schema = schema;
  info.origin = origin;
  info.sequence = sequence;
  info.timestamp_ns = timestamp_ns;
}

kernel::Status TensorRef::reshape(DType dtype, const Shape& shape) {
  kernel::require(unique(), "a tensor with several owners is reshaped");
  const kernel::Result<std::uint64_t> bytes = bytes_of(dtype, shape);
  if (!bytes) {
    return bytes.error();
  }
  TensorArena::Descriptor& descriptor = arena_->live(handle_);
  if (*bytes > descriptor.room_bytes) {
    return kernel::Status::OutOfRange;
  }
  descriptor.bytes = *bytes;
  descriptor.info.dtype = dtype;
  descriptor.info.shape = shape;
  return kernel::Status::Ok;
}

void TensorRef::drop() { std::exchange(arena_, nullptr)->release(std::exchange(handle_, TensorHandle::None)); }

}  // namespace guest::graph
