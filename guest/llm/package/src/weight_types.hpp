// The tensor types that a model's weights may have, as quantisation of a manifest.
#pragma once

#include "guest/gguf/tensor.hpp"

namespace guest::llm::package {

/// In the order in which they win where a model has as much of one as of another.
inline constexpr gguf::Type kWeightTypes[] = {gguf::Type::F32, gguf::Type::F16, gguf::Type::Q8_0, gguf::Type::Q4_0};

}  // namespace guest::llm::package
