// How far other kernels may be from the reference (docs/npu.md, Tolerances), for every test that compares two of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "npu/testing/scene.hpp"

namespace npu::testing {

/// Of each element in a row of the output of a command that has run, with its inputs as they were.
std::vector<double> tolerances(Scene& scene, std::uint64_t row);

/// Compares the outputs of one command that two kernels have run, each in a scene of its own. Empty: they are the same
/// within the tolerances, and NaN and infinities are where they should be; else what is wrong with the worst element.
std::string difference(Scene& reference, Scene& other);

}  // namespace npu::testing
