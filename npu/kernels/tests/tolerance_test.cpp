// The tolerances against kernels that add in f32 from the end to the beginning: they are within, and one whose last
// term is missing is not.
#include "npu/testing/tolerance.hpp"

#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;

float e(double x) { return std::exp(static_cast<float>(x)); }

/// Sums `count` terms from the last to the first, in f32.
template <typename Term>
float sum_back(std::uint64_t count, Term&& term) {
  float sum = 0;
  for (std::uint64_t i = count; i-- > 0;) {
    sum += static_cast<float>(term(i));
  }
  return sum;
}

Scene gemm(Type weight, std::uint32_t inner) {
  Scene scene(Opcode::Gemm, {4, 20, inner});
  scene.operand({0, Type::F32, 4, 20}).operand({1, Type::F32, 4, inner}).operand({2, weight, 20, inner});
  return scene;
}

/// `missing` terms are left out.
void multiply_back(Scene& scene, std::uint64_t missing) {
  const std::uint64_t inner = scene.spec(1).columns - missing;
  for (std::uint64_t row = 0; row < 4; ++row) {
    for (std::uint64_t column = 0; column < 20; ++column) {
      scene.set<float>(0, row, column, sum_back(inner, [&](std::uint64_t i) {
                         return scene.get<float>(1, row, i) * static_cast<float>(scene.value(2, column, i));
                       }));
    }
  }
}

TEST(Tolerance, of_a_product_holds_for_f32_in_another_order) {
  for (const std::uint32_t inner : {1U, 7U, 600U}) {
    for (const Type type : {Type::F32, Type::F16}) {
      Scene reference = gemm(type, inner);
      Scene other = gemm(type, inner);
      run(reference);
      multiply_back(other, 0);
      EXPECT_EQ(difference(reference, other), "") << inner;
      multiply_back(other, 1);
      EXPECT_NE(difference(reference, other), "") << inner;
    }
  }
}

TEST(Tolerance, of_blocks_is_that_of_few_terms) {
  Scene reference = gemm(Type::Q8_0, 640);
  Scene other = gemm(Type::Q8_0, 640);
  run(reference);
  multiply_back(other, 0);
  // The row was not made into blocks, and that is more than roundings.
  EXPECT_NE(difference(reference, other), "");
}

TEST(Tolerance, of_a_norm_holds_for_f32_in_another_order) {
  Scene reference(Opcode::RmsNorm, {3, 1000});
  reference.operand({0, Type::F32, 3, 1000}).operand({1, Type::F32, 3, 1000});
  Scene other(Opcode::RmsNorm, {3, 1000});
  other.operand({0, Type::F32, 3, 1000}).operand({1, Type::F32, 3, 1000});
  run(reference);
  const auto normalise = [&](std::uint64_t missing) {
    for (std::uint64_t row = 0; row < 3; ++row) {
      const float square = sum_back(
          1000 - missing, [&](std::uint64_t i) { return other.get<float>(1, row, i) * other.get<float>(1, row, i); });
      for (std::uint64_t i = 0; i < 1000; ++i) {
        other.set<float>(0, row, i, other.get<float>(1, row, i) / std::sqrt(square / 1000.0F));
      }
    }
  };
  normalise(0);
  EXPECT_EQ(difference(reference, other), "");
  normalise(1);
  EXPECT_NE(difference(reference, other), "");
}

TEST(Tolerance, of_softmax_holds_for_f32_in_another_order) {
  Scene reference = example("softmax");
  Scene other = example("softmax");
  run(reference);
  for (std::uint64_t row = 0; row < 3; ++row) {
    const float sum = sum_back(70, [&](std::uint64_t i) { return e(other.value(1, row, i) * 0.5 - 1); });
    for (std::uint64_t i = 0; i < 70; ++i) {
      other.set<float>(0, row, i, e(other.value(1, row, i) * 0.5 - 1) / sum);
    }
  }
  EXPECT_EQ(difference(reference, other), "");
}

TEST(Tolerance, of_attention_holds_for_f32_in_another_order) {
  Scene reference = example("attention f16");  // 3 rows, 4 and 2 heads of 6, 5 positions before
  Scene other = example("attention f16");
  run(reference);
  for (std::uint64_t row = 0; row < 3; ++row) {
    for (std::uint64_t head = 0; head < 4; ++head) {
      const auto weight = [&](std::uint64_t at) {
        return e(0.4 * static_cast<double>(sum_back(6, [&](std::uint64_t i) {
                   return other.value(1, row, head * 6 + i) * other.value(2, at, head / 2 * 6 + i);
                 })));
      };
      const float sum = sum_back(6 + row, weight);
      for (std::uint64_t i = 0; i < 6; ++i) {
        const float values = sum_back(6 + row, [&](std::uint64_t at) {
          return weight(at) * static_cast<float>(other.value(3, at, head / 2 * 6 + i));
        });
        other.set<float>(0, row, head * 6 + i, values / sum);
      }
    }
  }
  EXPECT_EQ(difference(reference, other), "");
}

TEST(Tolerance, of_activations_holds_for_f32) {
  for (const char* name : {"silu", "gelu", "scale"}) {
    Scene reference = example(name);
    Scene other = example(name);
    run(reference);
    for (std::uint64_t i = 0; i < 210; ++i) {
      const auto x = other.get<float>(1, i / 70, i % 70);
      const float u = 0.7978846F * (x + 0.044715F * x * x * x);
      const float y = std::string(name) == "silu"   ? x / (1 + std::exp(-x))
                      : std::string(name) == "gelu" ? x / (1 + std::exp(-2 * u))
                                                    : x * 2.0F + 0.25F;
      other.set<float>(0, i / 70, i % 70, y);
    }
    EXPECT_EQ(difference(reference, other), "") << name;
  }
}

TEST(Difference, names_the_worst_element) {
  Scene reference = example("add");
  Scene other = example("add");
  run(reference);
  run(other);
  EXPECT_EQ(difference(reference, other), "");
  other.set<float>(0, 1, 2, other.get<float>(0, 1, 2) + 0.125F);
  other.set<float>(0, 2, 3, other.get<float>(0, 2, 3) + 0.5F);
  EXPECT_NE(difference(reference, other).find("row 2, element 3"), std::string::npos);
  other.set<float>(0, 0, 1, std::nanf(""));
  EXPECT_NE(difference(reference, other).find("row 0, element 1"), std::string::npos);
}

class SameKernels : public ::testing::TestWithParam<Example> {};

TEST_P(SameKernels, differ_in_nothing) {
  Scene reference = GetParam().make();
  Scene other = GetParam().make();
  if (reference.command.opcode == 0) {
    return;
  }
  run(reference);
  run(other);
  EXPECT_EQ(difference(reference, other), "");
  // Far beyond what is allowed: a high bit of the first row's last element.
  std::span<std::byte> bytes = other.bytes(0);
  const std::uint64_t row = row_bytes(other.spec(0).type, other.spec(0).columns);
  bytes[row - 1] ^= std::byte{0x40};
  EXPECT_NE(difference(reference, other), "");
}

INSTANTIATE_TEST_SUITE_P(Commands, SameKernels, ::testing::ValuesIn(examples()));

}  // namespace
}  // namespace npu::testing
