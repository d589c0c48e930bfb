// Blocks of GGUF, as the plain loops read and write them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/npu.hpp"

namespace npu_bench {

struct Q8Block {
  _Float16 scale;
  std::int8_t values[abi::npu::kBlockElements];
  [[nodiscard]] int value(std::size_t i) const { return values[i]; }
};
static_assert(sizeof(Q8Block) == abi::npu::kQ8BlockBytes);

struct Q4Block {
  _Float16 scale;
  std::uint8_t pairs[abi::npu::kBlockElements / 2];
  [[nodiscard]] int value(std::size_t i) const { return (i < 16 ? pairs[i] & 15 : pairs[i - 16] >> 4) - 8; }
};
static_assert(sizeof(Q4Block) == abi::npu::kQ4BlockBytes);

}  // namespace npu_bench
