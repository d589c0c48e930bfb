// What is measured: commands of every kind, of shapes as networks have them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "npu/testing/scene.hpp"

namespace npu_bench {

/// Sizes of a full measurement, or such small ones that all cases are run in a moment, even by a sanitised build.
enum class Size : std::uint8_t { Full, Short };

struct Case {
  std::string name;   ///< "gemm_f32_vector_large"
  std::string shape;  ///< "1x4096x4096"
  std::function<npu::testing::Scene()> make;
};

/// At least one of each opcode, and each one's families of types.
std::vector<Case> all_cases(Size size);

/// Operations of one run: a multiplication and its addition are two; of a command without products those that the cost
/// model counts (docs/npu.md, Cost).
double operations_of(const npu::Checked& command);

}  // namespace npu_bench
