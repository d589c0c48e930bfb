// normalise, resize, convolve, threshold, statistics: what is done to images and other numbers.
#pragma once

#include "inputs.hpp"

namespace guest::graph {

inline constexpr std::int64_t kMaxSide = 4096;
inline constexpr std::int64_t kMaxLevel = std::int64_t{1} << 40;
inline constexpr std::int64_t kMaxDivisor = 1'000'000;  ///< times any u32 is exact in an f64
inline constexpr std::int64_t kMaxBins = 256;

inline constexpr ParameterSpec kNormaliseParameters[] = {
    {.name = "method",
     .type = ParameterSpec::Type::Choice,
     .choices = "range|mean-std",
     .help = "to 0..1, or to mean 0 and standard deviation 1"},
};
MadeOperator make_normalise(const Parameters& parameters);

inline constexpr ParameterSpec kResizeParameters[] = {
    {.name = "height", .required = true, .min = 1, .max = kMaxSide, .help = "of the new image"},
    {.name = "width", .required = true, .min = 1, .max = kMaxSide, .help = "of the new image"},
    {.name = "method", .type = ParameterSpec::Type::Choice, .choices = "bilinear|nearest", .help = "of interpolation"},
};
MadeOperator make_resize(const Parameters& parameters);

inline constexpr ParameterSpec kConvolveParameters[] = {
    {.name = "kernel",
     .type = ParameterSpec::Type::Choice,
     .choices = "box|gauss|sharpen|sobel-x|sobel-y|laplace",
     .help = "3 by 3"},
    {.name = "edge",
     .type = ParameterSpec::Type::Choice,
     .choices = "replicate|zero",
     .help = "what lies outside of the image: its nearest element, or 0"},
};
MadeOperator make_convolve(const Parameters& parameters);

inline constexpr ParameterSpec kThresholdParameters[] = {
    {.name = "level",
     .required = true,
     .min = -kMaxLevel,
     .max = kMaxLevel,
     .help = "255 from level / divisor on, else 0"},
    {.name = "divisor", .min = 1, .max = kMaxDivisor, .fallback = 1, .help = "of the level, for f32"},
};
MadeOperator make_threshold(const Parameters& parameters);

inline constexpr ParameterSpec kStatisticsParameters[] = {
    {.name = "bins", .max = kMaxBins, .fallback = 16, .help = "of the histogram from the smallest to the largest"},
};
MadeOperator make_statistics(const Parameters& parameters);

}  // namespace guest::graph
