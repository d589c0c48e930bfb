// npu.gemm: products of matrices, computed by the NPU.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr ParameterSpec kNpuGemmParameters[] = {
    {.name = "file",
     .type = ParameterSpec::Type::Text,
     .min = 1,
     .max = ParameterSpec::kMaxText,
     .help = "a GGUF file of the boot archive with the matrix; without one the second input is it"},
    {.name = "tensor",
     .type = ParameterSpec::Type::Text,
     .min = 1,
     .max = ParameterSpec::kMaxText,
     .help = "its name in the file, which must be given where the file has several"},
};
MadeOperator make_npu_gemm(const Parameters& parameters);

}  // namespace guest::graph
