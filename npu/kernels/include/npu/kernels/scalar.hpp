// The scalar kernels by name (docs/npu.md, Commands), for sets that have some of them.
#pragma once

#include "npu/kernels/kernels.hpp"

namespace npu::scalar {

using Outcome = std::optional<abi::npu::Reason>;

Outcome nop(const Checked& command, Units units);
Outcome gemm(const Checked& command, Units units);
Outcome rms_norm(const Checked& command, Units units);
Outcome layer_norm(const Checked& command, Units units);
Outcome softmax(const Checked& command, Units units);
Outcome rope(const Checked& command, Units units);
Outcome attention(const Checked& command, Units units);
Outcome swiglu(const Checked& command, Units units);
Outcome silu(const Checked& command, Units units);
Outcome gelu(const Checked& command, Units units);
Outcome relu(const Checked& command, Units units);
Outcome add(const Checked& command, Units units);
Outcome mul(const Checked& command, Units units);
Outcome scale(const Checked& command, Units units);
Outcome embed_rows(const Checked& command, Units units);
Outcome arg_max(const Checked& command, Units units);
Outcome top_k(const Checked& command, Units units);
Outcome conv2d(const Checked& command, Units units);
Outcome depthwise_conv2d(const Checked& command, Units units);
Outcome max_pool(const Checked& command, Units units);
Outcome avg_pool(const Checked& command, Units units);
Outcome copy(const Checked& command, Units units);

}  // namespace npu::scalar
