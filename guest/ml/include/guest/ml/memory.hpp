// Memory that the NPU reaches: one region, from the kernel's heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "guest/kernel/named_error.hpp"
#include "guest/npu/npu.hpp"

namespace guest::ml {

/// In threads. Owned by whoever made it; no job that names it is in flight when it goes.
/// Its bytes are lost where the device does not answer to that.
class Memory {
 public:
  /// What tensors in it are aligned to: a cache line.
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;
  static constexpr std::uint32_t kReadWrite = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;
  static constexpr std::uint32_t kConstant = abi::npu::region_flag::kRead | abi::npu::region_flag::kImmutable;

  /// Zeroed; nobody knows of it yet. Errors: ml-no-memory.
  static std::expected<std::unique_ptr<Memory>, kernel::NamedError> make(std::uint64_t bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return {bytes_, size_}; }
  /// Registers it, once; `npu` outlives it. With kConstant what is in it stays. Errors: the NPU's.
  kernel::Outcome enlist(npu::Npu& npu, std::uint32_t flags);
  /// kNoRegion before it is enlisted.
  [[nodiscard]] std::uint32_t handle() const { return handle_; }

 private:
  Memory(std::byte* bytes, std::size_t size) : bytes_(bytes), size_(size) {}

  std::byte* bytes_;
  std::size_t size_;
  npu::Npu* npu_ = nullptr;
  std::uint32_t handle_ = abi::npu::kNoRegion;
};

}  // namespace guest::ml
