// What the kernels are compared with: the same commands as plain loops, which the compiler may vectorise as it likes,
// and matrix products by Eigen. One thread; no fields of a command are checked, no strides and no NaN are minded.
#pragma once

#include <vector>

#include "npu/stream/checked_command.hpp"

namespace npu_bench {

using Run = void (*)(const npu::Checked& command);

struct Rival {
  const char* name;  ///< "plain", "eigen"
  Run run;
};
/// Those that can run this command. Its operands lie without gaps between rows, and images are not padded.
std::vector<Rival> rivals_of(const npu::Checked& command);

/// The elements of an operand; null: it is not there.
template <typename T>
T* elements(const npu::Checked& command, unsigned operand) {
  // Memory is bytes, and its alignment was checked.
  return reinterpret_cast<T*>(command.operands[operand].data);
}

// Of these types: Gemm by its weights, Copy by what it copies; else by the input. Null: none is written.
Run plain_matrices(const npu::Checked& command);  ///< Gemm, Attention
Run plain_rows(const npu::Checked& command);      ///< what works on rows, or on elements
Run plain_images(const npu::Checked& command);    ///< convolutions and pools
Run eigen(const npu::Checked& command);           ///< Gemm on f32

}  // namespace npu_bench
