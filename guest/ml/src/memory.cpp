#include "guest/ml/memory.hpp"

#include <cstring>
#include <new>

#include "guest/kernel/panic.hpp"

namespace guest::ml {
namespace {

constexpr std::align_val_t kAlign{Memory::kAlignment};

}  // namespace

std::expected<std::unique_ptr<Memory>, kernel::NamedError> Memory::make(std::uint64_t bytes) {
  // A region has at least one byte.
  const std::uint64_t size = bytes == 0 ? kAlignment : bytes;
  auto* const block = size > kMaxBytes ? nullptr : new (kAlign, std::nothrow) std::byte[size];
  if (block == nullptr) {
    return kernel::fail("ml-no-memory", "no {} bytes for tensors: at most {}", bytes, kMaxBytes);
  }
  std::memset(block, 0, size);
  std::unique_ptr<Memory> memory(new (std::nothrow) Memory(block, size));
  if (memory == nullptr) {
    ::operator delete[](block, kAlign);
    return kernel::fail("ml-no-memory", "no {} bytes for the books of tensors", sizeof(Memory));
  }
  return memory;
}

Memory::~Memory() {
  // Where a device does not let go of it, it may still be written to: rather lost than somebody else's.
  if (handle_ == abi::npu::kNoRegion || npu_->release_region(handle_)) {
    ::operator delete[](bytes_, kAlign);
  }
}

kernel::Outcome Memory::enlist(npu::Npu& npu, std::uint32_t flags) {
  kernel::require(handle_ == abi::npu::kNoRegion, "memory is enlisted twice");
  const auto handle = npu.register_region(bytes(), flags);
  if (!handle) {
    return std::unexpected(handle.error());
  }
  npu_ = &npu;
  handle_ = *handle;
  return {};
}

}  // namespace guest::ml
