// All kernels of the target, as a set.
#pragma once

#include "attention.hpp"
#include "convolution.hpp"
#include "copy.hpp"
#include "depthwise.hpp"
#include "elementwise.hpp"
#include "gemm.hpp"
#include "norm.hpp"
#include "packing.hpp"
#include "rope.hpp"
#include "rows.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Scalar ones where there is no vector kernel. In the order of abi::npu::Opcode.
constexpr KernelSet make_set(const char* name) {
  return {.name = name,
          .kernels = {scalar::nop,
                      gemm,
                      rms_norm,
                      layer_norm,
                      softmax,
                      rope,
                      attention,
                      swiglu,
                      silu,
                      gelu,
                      relu,
                      add,
                      mul,
                      scale,
                      embed_rows,
                      arg_max,
                      top_k,
                      conv2d,
                      depthwise_conv2d,
                      max_pool,
                      avg_pool,
                      copy},
          .packing = kPacking};
}
static_assert(make_set("").kernels.back() == copy);

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
