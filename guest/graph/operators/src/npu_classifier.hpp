// npu.mlp and npu.conv: which class a tensor or an image is of, as a network has it that the NPU computes.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr ParameterSpec kModelFileParameter = {
    .name = "file",
    .type = ParameterSpec::Type::Text,
    .min = 1,
    .max = ParameterSpec::kMaxText,
    .help = "a model of the boot archive instead: GGUF, sis.net",
};

inline constexpr ParameterSpec kNpuMlpParameters[] = {
    {.name = "model",
     .type = ParameterSpec::Type::Choice,
     .choices = "patterns",
     .help = "built in: the classes of image-source's patterns, 16 by 16 in 0..1"},
    kModelFileParameter,
};
MadeOperator make_npu_mlp(const Parameters& parameters);

inline constexpr ParameterSpec kNpuConvParameters[] = {
    {.name = "model",
     .type = ParameterSpec::Type::Choice,
     .choices = "shapes",
     .help = "built in: the classes of image-source's shapes, u8 [32, 32]"},
    kModelFileParameter,
};
MadeOperator make_npu_conv(const Parameters& parameters);

}  // namespace guest::graph
