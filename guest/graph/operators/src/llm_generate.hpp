// llm.generate: what a language model says to a text.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr ParameterSpec kLlmGenerateParameters[] = {
    {.name = "model",
     .type = ParameterSpec::Type::Text,
     .required = true,
     .min = 1,
     .max = 32,
     .help = "the id by which it is loaded"},
    {.name = "max_tokens", .min = 1, .max = 131'072, .fallback = 64, .help = "of an answer"},
    {.name = "priority", .max = 7, .fallback = 3, .help = "the larger, the sooner"},
    {.name = "temperature_milli", .max = 100'000, .help = "0: the best token, always"},
    {.name = "seed", .max = 1'000'000'000'000'000, .help = "of answers with a temperature; one more for each"},
    {.name = "stop",
     .type = ParameterSpec::Type::Text,
     .min = 1,
     .max = 64,
     .help = "ends an answer, and is not of it"},
    {.name = "pattern",
     .type = ParameterSpec::Type::Text,
     .min = 1,
     .max = ParameterSpec::kMaxText,
     .help = "that an answer matches"},
    {.name = "refused",
     .type = ParameterSpec::Type::Choice,
     .choices = "wait|fail",
     .help = "what a refusal that passes does: it waits, or fails the graph"},
};
MadeOperator make_llm_generate(const Parameters& parameters);

}  // namespace guest::graph
