// All kernels of the target, as a set.
#pragma once

#include "attention.hpp"
#include "elementwise.hpp"
#include "gemm.hpp"
#include "norm.hpp"
#include "rope.hpp"

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
                      scalar::embed_rows,
                      scalar::arg_max,
                      scalar::top_k,
                      scalar::conv2d,
                      scalar::depthwise_conv2d,
                      scalar::max_pool,
                      scalar::avg_pool,
                      scalar::copy}};
}
static_assert(make_set("").kernels.back() == scalar::copy);

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
