// mlp-classifier: which class a tensor is of, as a small dense network has it.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr ParameterSpec kMlpClassifierParameters[] = {
    {.name = "model",
     .type = ParameterSpec::Type::Choice,
     .choices = "patterns",
     .help = "built in: the classes of image-source's patterns, 16 by 16"},
    {.name = "file",
     .type = ParameterSpec::Type::Text,
     .min = 1,
     .max = ParameterSpec::kMaxText,
     .help = "a model of the boot archive instead"},
};
MadeOperator make_mlp_classifier(const Parameters& parameters);

}  // namespace guest::graph
