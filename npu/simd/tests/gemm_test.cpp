// Gemm over shapes with tails of every length.
#include "agree.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;

struct Shape {
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t inner;
};

std::string text_of(const Shape& shape) {
  return std::to_string(shape.rows) + " x " + std::to_string(shape.columns) + " x " + std::to_string(shape.inner);
}

Scene real_gemm(Type weight, const Shape& shape, bool bias) {
  Scene scene(Opcode::Gemm, {shape.rows, shape.columns, shape.inner});
  scene.operand({0, Type::F32, shape.rows, shape.columns, 12}).operand({1, Type::F32, shape.rows, shape.inner, 4});
  scene.operand({2, weight, shape.columns, shape.inner, 4});
  if (bias) {
    scene.operand({3, Type::F32, 1, shape.columns});
  }
  return scene;
}

TEST(Gemm, of_real_weights_with_every_tail) {
  for (const Type weight : {Type::F32, Type::F16}) {
    for (const std::uint32_t rows : {1U, 2U, 5U}) {
      for (const std::uint32_t columns : {1U, 3U, 4U, 18U}) {
        for (const std::uint32_t inner : {1U, 15U, 16U, 17U, 50U}) {
          const Shape shape{rows, columns, inner};
          expect_agreement([&] { return real_gemm(weight, shape, inner % 2 == 0); }, text_of(shape));
        }
      }
    }
  }
}

}  // namespace
}  // namespace npu::testing
