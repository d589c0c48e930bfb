// Vector kernels against the scalar ones, and against each other.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "npu/simd/kernels.hpp"
#include "npu/testing/examples.hpp"
#include "npu/testing/packed.hpp"
#include "npu/testing/tolerance.hpp"

namespace npu::testing {

inline std::vector<const KernelSet*> sets() {
  std::vector<const KernelSet*> found;
  for (const KernelSet* const set : available_simd_kernels()) {
    if (set != nullptr) {
      found.push_back(set);
    }
  }
  return found;
}

enum class Weights : std::uint8_t { InPlace, Packed };

/// Runs all units of a command, `at_once` in each call. The command must be right.
inline void run(Scene& scene, const KernelSet& set, std::uint64_t at_once = ~std::uint64_t{0},
                Weights weights = Weights::InPlace) {
  auto checked = scene.check();
  ASSERT_TRUE(checked) << "refused: " << static_cast<unsigned>(checked.error().reason) << " at "
                       << checked.error().field_offset;
  const Packed packed = weights == Weights::Packed ? pack(*checked, set) : nullptr;
  checked->packed_weights = packed.get();
  const std::uint64_t units = partition(*checked).units;
  for (std::uint64_t first = 0; first < units;) {
    const std::uint64_t count = std::min(at_once, units - first);
    ASSERT_FALSE(set.kernels[static_cast<unsigned>(checked->opcode)](*checked, {.first = first, .count = count}));
    first += count;
  }
}

/// All sets give the same bytes, however the units are called, and where weights lie.
inline void expect_same_bytes(const std::function<Scene()>& make, const std::string& what) {
  Scene first = make();
  run(first, *sets().front());
  for (const KernelSet* const set : sets()) {
    for (const Weights weights : {Weights::InPlace, Weights::Packed}) {
      Scene other = make();
      run(other, *set, 1, weights);
      for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
        EXPECT_TRUE(!first.has(i) || std::ranges::equal(first.bytes(i), other.bytes(i)))
            << what << ": " << set->name << (weights == Weights::Packed ? ", packed," : "") << " differs from "
            << sets().front()->name << " in operand " << i;
      }
    }
  }
}

/// The same, and they are within the tolerances of the scalar kernels.
inline void expect_agreement(const std::function<Scene()>& make, const std::string& what) {
  Scene reference = make();
  run(reference, scalar_kernels());
  Scene first = make();
  run(first, *sets().front());
  EXPECT_EQ(difference(reference, first), "") << what << ": " << sets().front()->name;
  expect_same_bytes(make, what);
}

}  // namespace npu::testing
