// All kernels of the target, as a set.
#pragma once

#include "gemm.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Scalar ones where there is no vector kernel. In the order of abi::npu::Opcode.
constexpr KernelSet make_set(const char* name) {
  return {.name = name,
          .kernels = {scalar::nop,
                      gemm,
                      scalar::rms_norm,
                      scalar::layer_norm,
                      scalar::softmax,
                      scalar::rope,
                      scalar::attention,
                      scalar::swiglu,
                      scalar::silu,
                      scalar::gelu,
                      scalar::relu,
                      scalar::add,
                      scalar::mul,
                      scalar::scale,
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
