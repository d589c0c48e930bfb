// Weights as a set of kernels wants them rearranged (npu::Packing), for tests of what does not do that itself.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "npu/kernels/kernels.hpp"

namespace npu::testing {

struct FreePacked {
  void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
};
/// Of exactly as many bytes as asked for, so that AddressSanitizer sees every access beyond.
using Packed = std::unique_ptr<std::byte[], FreePacked>;

/// The copy of the command's weights, for Checked::packed_weights. Null: the set wants none.
inline Packed pack(const Checked& command, const KernelSet& set) {
  const std::uint64_t bytes = set.packing.bytes != nullptr ? set.packing.bytes(command) : 0;
  if (bytes == 0) {
    return nullptr;
  }
  Packed packed(new (std::align_val_t{64}) std::byte[bytes]);
  set.packing.pack(command, packed.get());
  return packed;
}

}  // namespace npu::testing
