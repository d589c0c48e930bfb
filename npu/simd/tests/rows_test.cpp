// Elementwise commands, norms, softmax: lengths with tails, and numbers at the ends of their range.
#include <cmath>
#include <limits>

#include "agree.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;
namespace flag = abi::npu::command_flag;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr std::uint32_t kLengths[] = {1, 3, 7, 16, 17, 40, 250};

Scene matrix(Opcode opcode, std::uint32_t rows, std::uint32_t columns, unsigned inputs, std::uint16_t flags = 0) {
  Scene scene(opcode, {rows, columns}, flags);
  for (unsigned i = 0; i <= inputs; ++i) {
    const bool row = i == 2 && (flags & flag::kBroadcastRow) != 0;
    scene.operand({i, Type::F32, row ? 1U : rows, columns, 4 * i});
  }
  return scene;
}

std::string name_of(Opcode opcode, std::uint32_t columns) {
  return "opcode " + std::to_string(static_cast<unsigned>(opcode)) + " of " + std::to_string(columns);
}

TEST(Elements, of_every_length) {
  for (const std::uint32_t columns : kLengths) {
    for (const Opcode opcode : {Opcode::Silu, Opcode::Gelu, Opcode::Relu}) {
      expect_agreement([&] { return matrix(opcode, 3, columns, 1); }, name_of(opcode, columns));
    }
    for (const Opcode opcode : {Opcode::SwiGlu, Opcode::Add, Opcode::Mul}) {
      expect_agreement([&] { return matrix(opcode, 3, columns, 2); }, name_of(opcode, columns));
    }
    for (const Opcode opcode : {Opcode::Add, Opcode::Mul}) {
      expect_agreement(
          [&] {
            return std::move(matrix(opcode, 3, columns, 2, flag::kBroadcastRow | flag::kClamp).f(2, -0.5F).f(3, kInf));
          },
          name_of(opcode, columns));
    }
    expect_agreement([&] { return std::move(matrix(Opcode::Scale, 3, columns, 1).f(0, -1.5F).f(1, 0.25F)); },
                     name_of(Opcode::Scale, columns));
  }
}

/// Numbers at which something of a function changes, in all orders of magnitude.
std::vector<float> numbers() {
  std::vector<float> all = {0, -0.0F, kInf, -kInf, std::nanf(""), 1e-45F, -1e-45F, 3.4e38F, -3.4e38F, 1e-38F};
  for (int exponent = -40; exponent <= 38; ++exponent) {
    all.push_back(static_cast<float>(std::pow(10.0, exponent)));
    all.push_back(static_cast<float>(-3 * std::pow(10.0, exponent)));
  }
  for (float x = 80; x < 110; x += 0.37F) {  // where e^x ends
    all.push_back(x);
    all.push_back(-x);
  }
  for (float x = 120; x < 400; x += 17) {
    all.push_back(-x);
  }
  for (float x = -12; x < 12; x += 0.043F) {
    all.push_back(x);
  }
  return all;
}

TEST(Elements, over_all_numbers) {
  const std::vector<float> all = numbers();
  const auto count = static_cast<std::uint32_t>(all.size());
  for (const Opcode opcode : {Opcode::Silu, Opcode::Gelu, Opcode::Relu, Opcode::Scale}) {
    expect_agreement(
        [&] {
          Scene scene = matrix(opcode, 1, count, 1);
          for (std::uint32_t i = 0; i < count; ++i) {
            scene.set(1, 0, i, all[i]);
          }
          return std::move(opcode == Opcode::Scale ? scene.f(0, 2.5F).f(1, -1) : scene);
        },
        name_of(opcode, count));
  }
  constexpr float kOthers[] = {1, -1e-30F, 1e30F, 3e38F, 1e-40F, 0, kInf};
  for (const Opcode opcode : {Opcode::SwiGlu, Opcode::Add, Opcode::Mul}) {
    expect_agreement(
        [&] {
          Scene scene = matrix(opcode, std::size(kOthers), count, 2);
          for (std::uint32_t row = 0; row < std::size(kOthers); ++row) {
            for (std::uint32_t i = 0; i < count; ++i) {
              scene.set(1, row, i, all[i]);
              scene.set(2, row, i, kOthers[row]);
            }
          }
          return scene;
        },
        name_of(opcode, count));
  }
}

Scene norm(Opcode opcode, std::uint32_t columns, float epsilon, unsigned parameters) {
  Scene scene(opcode, {4, columns});
  scene.f(0, epsilon).operand({0, Type::F32, 4, columns, 8}).operand({1, Type::F32, 4, columns, 4});
  if (parameters > 0) {
    scene.operand({2, Type::F32, 1, columns});
  }
  if (parameters > 1) {
    scene.operand({3, Type::F32, 1, columns});
  }
  return scene;
}

TEST(Norms, of_every_length) {
  for (const std::uint32_t columns : kLengths) {
    for (const unsigned parameters : {0U, 1U, 2U}) {
      expect_agreement([&] { return norm(Opcode::LayerNorm, columns, 1e-5F, parameters); },
                       name_of(Opcode::LayerNorm, columns));
      expect_agreement([&] { return norm(Opcode::RmsNorm, columns, 1e-5F, parameters % 2); },
                       name_of(Opcode::RmsNorm, columns));
    }
  }
}

TEST(Norms, of_numbers_at_their_limits) {
  for (const Opcode opcode : {Opcode::RmsNorm, Opcode::LayerNorm}) {
    for (const float epsilon : {0.0F, 1e-5F}) {
      expect_agreement(
          [&] {
            Scene scene = norm(opcode, 20, epsilon, 1);
            for (std::uint32_t i = 0; i < 20; ++i) {
              scene.set<float>(1, 0, i, 0);
              scene.set<float>(1, 1, i, i % 3 == 0 ? 1e30F : -2e25F);  // squares beyond f32
              scene.set<float>(1, 2, i, i % 3 == 0 ? 1e-41F : -3e-38F);
            }
            scene.set<float>(1, 3, 5, kInf);
            return scene;
          },
          name_of(opcode, 20));
    }
  }
}

TEST(ArgMax, of_every_length) {
  for (const std::uint32_t columns : kLengths) {
    const auto make = [&] {
      Scene scene(Opcode::ArgMax, {6, columns});
      scene.operand({0, Type::I32, 1, 6}).operand({1, Type::F32, 6, columns, 4});
      for (std::uint32_t i = 0; i < columns; ++i) {
        scene.set<float>(1, 1, i, i % 3 == 1 ? 2.0F : -kInf);  // equal ones
        scene.set<float>(1, 2, i, std::nanf(""));
        scene.set<float>(1, 3, i, i == 0 ? std::nanf("") : -kInf);
        scene.set<float>(1, 4, i, i + 1 == columns ? kInf : std::nanf(""));
        scene.set<float>(1, 5, i, i % 2 == 0 ? -0.0F : 0.0F);
      }
      return scene;
    };
    expect_agreement(make, name_of(Opcode::ArgMax, columns));
  }
}

TEST(ArgMax, of_bytes) {
  for (const std::uint32_t columns : {1U, 15U, 16U, 63U, 64U, 65U, 200U}) {
    const auto make = [&] {
      Scene scene(Opcode::ArgMax, {5, columns});
      scene.operand({0, Type::I32, 1, 5}).operand({1, Type::I8, 5, columns, 4});
      for (std::uint32_t i = 0; i < columns; ++i) {
        scene.set<std::int8_t>(1, 1, i, i % 3 == 1 ? 2 : -2);  // equal ones
        scene.set<std::int8_t>(1, 2, i, -128);
        scene.set<std::int8_t>(1, 3, i, i + 1 == columns ? 127 : 126);
        scene.set<std::int8_t>(1, 4, i, i == columns / 2 ? -127 : -128);
      }
      return scene;
    };
    expect_agreement(make, name_of(Opcode::ArgMax, columns));
  }
}

TEST(TopK, of_every_length) {
  for (const std::uint32_t columns : kLengths) {
    for (const std::uint32_t top : {1U, 3U, 40U}) {
      const auto make = [&] {
        Scene scene(Opcode::TopK, {7, columns, top});
        scene.operand({0, Type::F32, 7, top, 4}).operand({1, Type::F32, 7, columns, 4});
        scene.operand({2, Type::I32, 7, top, 8});
        for (std::uint32_t i = 0; i < columns; ++i) {
          scene.set<float>(1, 1, i, static_cast<float>(i));  // each is better than those before
          scene.set<float>(1, 2, i, i % 5 < 2 ? 2.0F : -kInf);
          scene.set<float>(1, 3, i, std::nanf(""));
          scene.set<float>(1, 4, i, i % 7 == 3 ? -kInf : std::nanf(""));
          scene.set<float>(1, 5, i, i % 2 == 0 ? -0.0F : 0.0F);
          scene.set<float>(1, 6, i, i < top ? std::nanf("") : -3.0F);
        }
        return scene;
      };
      if (top <= columns) {
        expect_agreement(make, name_of(Opcode::TopK, columns));
      }
    }
  }
}

TEST(EmbedRows, of_every_type) {
  for (const Type table : {Type::F32, Type::F16, Type::Q8_0, Type::Q4_0}) {
    for (const std::uint32_t columns : {32U, 160U, 35U}) {
      if (columns % 32 != 0 && table != Type::F32 && table != Type::F16) {
        continue;
      }
      const auto make = [&] {
        Scene scene(Opcode::EmbedRows, {5, 3, columns});
        scene.operand({0, Type::F32, 5, columns, 4}).operand({1, table, 3, columns, 4}).operand({2, Type::I32, 1, 5});
        for (std::uint32_t row = 0; row < 5; ++row) {
          scene.set<std::int32_t>(2, 0, row, static_cast<std::int32_t>((2 * row + 1) % 3));
        }
        return scene;
      };
      expect_agreement(make, name_of(Opcode::EmbedRows, columns));
    }
  }
}

TEST(EmbedRows, end_at_an_id_that_is_not_in_the_table) {
  for (const std::int32_t id : {-1, 3}) {
    Scene scene(Opcode::EmbedRows, {2, 3, 32});
    scene.operand({0, Type::F32, 2, 32}).operand({1, Type::F32, 3, 32}).operand({2, Type::I32, 1, 2});
    scene.set<std::int32_t>(2, 0, 0, 2);
    scene.set<std::int32_t>(2, 0, 1, id);
    const auto checked = scene.check();
    EXPECT_EQ(simd_kernels().kernels[static_cast<unsigned>(Opcode::EmbedRows)](*checked, {.first = 0, .count = 1}),
              abi::npu::Reason::IndexRange);
  }
}

TEST(Softmax, of_every_length) {
  for (const std::uint32_t columns : kLengths) {
    for (const float scale : {1.0F, -40.0F, 0.0F}) {
      expect_agreement([&] { return std::move(matrix(Opcode::Softmax, 3, columns, 1).f(0, scale)); },
                       name_of(Opcode::Softmax, columns));
    }
  }
}

TEST(Softmax, of_infinities) {
  expect_agreement(
      [&] {
        Scene scene = matrix(Opcode::Softmax, 6, 37, 1);
        for (std::uint32_t i = 0; i < 37; ++i) {
          scene.set<float>(1, 0, i, -kInf);
        }
        scene.set<float>(1, 1, 4, -kInf);
        scene.set<float>(1, 2, 36, kInf);
        scene.set<float>(1, 3, 1, std::nanf(""));
        scene.set<float>(1, 4, 2, 300);
        scene.set<float>(1, 5, 0, std::nanf(""));
        return std::move(scene.f(0, 1));
      },
      "softmax");
}

}  // namespace
}  // namespace npu::testing
