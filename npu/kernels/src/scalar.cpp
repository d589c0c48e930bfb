#include "npu/kernels/scalar.hpp"

namespace npu {

scalar::Outcome scalar::nop(const Checked& /*command*/, Units /*units*/) { return std::nullopt; }

namespace {

/// In the order of abi::npu::Opcode.
constexpr KernelSet kScalar = {.name = "scalar",
                               .kernels = {scalar::nop,
                                           scalar::gemm,
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
static_assert(kScalar.kernels.back() == scalar::copy);

}  // namespace

const KernelSet& scalar_kernels() { return kScalar; }

}  // namespace npu
