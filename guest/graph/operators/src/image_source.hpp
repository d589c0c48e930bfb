// image-source: test patterns, or an image of the boot archive.
#pragma once

#include "image.hpp"
#include "inputs.hpp"
#include "pace.hpp"

namespace guest::graph {

inline constexpr ParameterSpec kImageSourceParameters[] = {
    {.name = "pattern",
     .type = ParameterSpec::Type::Choice,
     .choices = "gradient|checker|bars|circle|moving|cycle|shapes",
     .help = "what is to be seen; cycle: the first four in turn"},
    {.name = "width", .min = 1, .max = kMaxSide, .fallback = 64, .help = "of a pattern"},
    {.name = "height", .min = 1, .max = kMaxSide, .fallback = 64, .help = "of a pattern"},
    kCountParameter,
    kPeriodParameter,
    {.name = "seed", .max = kMaxCount, .help = "of what is left to chance in a pattern"},
    {.name = "noise", .max = 255, .help = "at most so much is added to a pattern's elements, or taken away"},
    {.name = "file",
     .type = ParameterSpec::Type::Text,
     .min = 1,
     .max = ParameterSpec::kMaxText,
     .help = "a PGM or PPM file of the boot archive instead of a pattern"},
};
MadeOperator make_image_source(const Parameters& parameters);

}  // namespace guest::graph
