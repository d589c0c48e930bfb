// What fields of a command have to do with each other.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "../src/fields.hpp"
#include "npu/testing/examples.hpp"

namespace npu {
namespace {

using abi::npu::Opcode;
using abi::npu::Reason;
using abi::npu::Type;
using testing::Scene;
namespace flag = abi::npu::command_flag;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::nanf("");

Scene example(const std::string& name) {
  for (const testing::Example& each : testing::examples()) {
    if (each.name == name) {
      return each.make();
    }
  }
  throw std::runtime_error("no example " + name);
}

Reason refusal(const Scene& scene, std::uint32_t field) {
  const auto checked = scene.check();
  if (checked) {
    return Reason::None;
  }
  EXPECT_EQ(checked.error().field_offset, field);
  return checked.error().reason;
}

TEST(Params, epsilon_is_finite_and_not_negative) {
  for (const float good : {0.0F, -0.0F, 1e-6F, 1e30F}) {
    EXPECT_EQ(refusal(example("rms norm").f(0, good), 0), Reason::None) << good;
  }
  for (const float bad : {-1e-6F, kInfinity, -kInfinity, kNan}) {
    EXPECT_EQ(refusal(example("rms norm").f(0, bad), param_field(0)), Reason::Parameter) << bad;
    EXPECT_EQ(refusal(example("layer norm").f(0, bad), param_field(0)), Reason::Parameter) << bad;
  }
}

TEST(Params, factors_are_finite) {
  for (const float bad : {kInfinity, -kInfinity, kNan}) {
    EXPECT_EQ(refusal(example("softmax").f(0, bad), param_field(0)), Reason::Parameter);
    EXPECT_EQ(refusal(example("attention f32").f(0, bad), param_field(0)), Reason::Parameter);
    EXPECT_EQ(refusal(example("scale").f(1, bad), param_field(1)), Reason::Parameter);
    EXPECT_EQ(refusal(example("rope").f(1, bad), param_field(1)), Reason::Parameter);
  }
  EXPECT_EQ(refusal(example("softmax").f(0, -1), 0), Reason::None);
}

TEST(Params, bases_and_scales_are_above_zero) {
  for (const float bad : {0.0F, -0.0F, -1.0F, kInfinity, kNan}) {
    EXPECT_EQ(refusal(example("rope").f(0, bad), param_field(0)), Reason::Parameter);
    EXPECT_EQ(refusal(example("copy f32 to i8").f(0, bad), param_field(0)), Reason::Parameter);
    EXPECT_EQ(refusal(example("copy u8 to f32").f(0, bad), param_field(0)), Reason::Parameter);
  }
  EXPECT_EQ(refusal(example("rope").f(0, std::numeric_limits<float>::denorm_min()), 0), Reason::None);
}

TEST(Params, limits_are_in_order) {
  const auto clamped = [](float min, float max) { return std::move(example("gemm f32 f32").f(2, min).f(3, max)); };
  EXPECT_EQ(refusal(clamped(0, kInfinity), 0), Reason::None);
  EXPECT_EQ(refusal(clamped(-kInfinity, kInfinity), 0), Reason::None);
  EXPECT_EQ(refusal(clamped(2, 2), 0), Reason::None);
  EXPECT_EQ(refusal(clamped(0.0F, -0.0F), 0), Reason::None);
  EXPECT_EQ(refusal(clamped(-3, -2), 0), Reason::None);
  EXPECT_EQ(refusal(clamped(-2, -3), param_field(2)), Reason::Parameter);
  EXPECT_EQ(refusal(clamped(1, 0.5F), param_field(2)), Reason::Parameter);
  EXPECT_EQ(refusal(clamped(1, -1), param_field(2)), Reason::Parameter);
  EXPECT_EQ(refusal(clamped(kNan, 1), param_field(2)), Reason::Parameter);
  EXPECT_EQ(refusal(clamped(1, kNan), param_field(3)), Reason::Parameter);
}

TEST(Params, limits_without_the_flag_are_reserved) {
  Scene scene = example("gemm f32 f32");
  scene.command.flags = 0;
  EXPECT_EQ(refusal(scene, param_field(2)), Reason::ReservedField);
}

TEST(Params, integers_are_values_of_their_type) {
  for (const unsigned param : {0U, 1U, 2U, 3U}) {
    for (const std::int32_t bad : {-129, 128, std::numeric_limits<std::int32_t>::min()}) {
      EXPECT_EQ(refusal(example("gemm i8").i(param, bad), param_field(param == 3 && bad < 0 ? 2 : param)),
                Reason::Parameter);
      EXPECT_EQ(refusal(example("conv2d i8").i(param, bad), param_field(param == 3 && bad < 0 ? 2 : param)),
                Reason::Parameter);
    }
  }
  EXPECT_EQ(refusal(example("gemm i8 to i32").i(0, 128), param_field(0)), Reason::Parameter);
  EXPECT_EQ(refusal(example("gemm i8 to i32").i(1, 1), param_field(1)), Reason::ReservedField);
  EXPECT_EQ(refusal(example("max pool i8").i(2, 101), param_field(2)), Reason::Parameter);
  EXPECT_EQ(refusal(example("copy f32 to i8").i(1, -129), param_field(1)), Reason::Parameter);
  EXPECT_EQ(refusal(example("copy f32 to u8").i(1, -1), param_field(1)), Reason::Parameter);
  EXPECT_EQ(refusal(example("copy u8 to f32").i(1, 256), param_field(1)), Reason::Parameter);
  EXPECT_EQ(refusal(example("copy i32 to f32").i(1, std::numeric_limits<std::int32_t>::min()), 0), Reason::None);
}

TEST(Shapes, blocks_are_whole) {
  Scene scene = example("gemm f32 q8_0");
  scene.command.dims[abi::npu::dim::kInner] = 63;
  EXPECT_EQ(refusal(scene, dim_field(2)), Reason::Dimension);
  Scene table = example("embed rows q4_0");
  table.command.dims[abi::npu::dim::embed::kElements] = 40;
  EXPECT_EQ(refusal(table, dim_field(2)), Reason::Dimension);
  Scene copy = example("copy f32 to q8_0");
  copy.command.dims[1] = 65;
  EXPECT_EQ(refusal(copy, dim_field(1)), Reason::Dimension);
}

TEST(Shapes, rope_turns_whole_pairs_of_a_head) {
  for (const std::uint32_t bad : {7U, 12U, 0x7FFF'FFFEU}) {
    Scene scene = example("rope");
    scene.command.dims[abi::npu::dim::rope::kRotated] = bad;
    EXPECT_EQ(refusal(scene, dim_field(3)), Reason::Dimension);
  }
}

TEST(Shapes, query_heads_share_key_heads_evenly) {
  Scene scene = example("attention f32");
  scene.command.dims[abi::npu::dim::attention::kKeyHeads] = 3;
  EXPECT_EQ(refusal(scene, dim_field(1)), Reason::Dimension);
  Scene more = example("attention f32");
  more.command.dims[abi::npu::dim::attention::kKeyHeads] = 8;
  EXPECT_EQ(refusal(more, dim_field(1)), Reason::Dimension);
  Scene wide = example("attention f32");
  wide.command.dims[abi::npu::dim::attention::kHeadElements] = abi::npu::kMaxHeadElements + 1;
  EXPECT_EQ(refusal(wide, dim_field(3)), Reason::Dimension);
}

TEST(Shapes, top_k_asks_for_no_more_than_there_are) {
  for (const std::uint32_t bad : {41U, abi::npu::kMaxTop + 1}) {
    Scene scene = example("top k");
    scene.command.dims[abi::npu::dim::kTop] = bad;
    EXPECT_EQ(refusal(scene, dim_field(2)), Reason::Dimension);
  }
}

TEST(Shapes, windows_begin_within_the_padded_image) {
  namespace image = abi::npu::dim::image;
  for (const char* name : {"conv2d f32", "conv2d i8", "depthwise conv2d f32", "max pool f32", "avg pool i8"}) {
    const bool pool = std::string(name).find("pool") != std::string::npos;
    const std::uint32_t reach = pool ? 2 : 4;  // (3 - 1) times the dilation
    EXPECT_EQ(refusal(example(name).i(4, static_cast<std::int32_t>(reach)), 0), Reason::None) << name;
    EXPECT_EQ(refusal(example(name).i(4, static_cast<std::int32_t>(reach + 1)), param_field(4)), Reason::Parameter);
    EXPECT_EQ(refusal(example(name).i(5, 3), param_field(5)), Reason::Parameter);
    EXPECT_EQ(refusal(example(name).i(5, -1), param_field(5)), Reason::Parameter);
    Scene far = example(name);
    far.command.dims[image::kStrideHeight] = 7;
    EXPECT_EQ(refusal(far, dim_field(image::kOutHeight)), Reason::Dimension) << name;
    Scene aside = example(name);
    aside.command.dims[image::kStrideWidth] = 0x7FFF'FFFF;
    EXPECT_EQ(refusal(aside, dim_field(image::kOutWidth)), Reason::Dimension) << name;
  }
}

TEST(Shapes, depthwise_has_whole_multiples_of_channels) {
  Scene scene = example("depthwise conv2d f32");
  scene.command.dims[abi::npu::dim::image::kOutChannels] = 7;
  EXPECT_EQ(refusal(scene, dim_field(6)), Reason::Dimension);
}

TEST(Shapes, types_belong_together) {
  Scene mixed = example("gemm i8");
  mixed.command.types[2] = static_cast<std::uint8_t>(Type::Q8_0);
  EXPECT_EQ(refusal(mixed, type_field(2)), Reason::OperandType);
  Scene half = example("gemm f32 f32");
  half.command.types[1] = static_cast<std::uint8_t>(Type::F16);
  EXPECT_EQ(refusal(half, type_field(1)), Reason::OperandType);
  Scene copy = example("copy f32 to q8_0");
  copy.command.types[1] = static_cast<std::uint8_t>(Type::Q4_0);
  EXPECT_EQ(refusal(copy, type_field(1)), Reason::OperandType);
  Scene bad = example("relu");
  bad.command.types[0] = static_cast<std::uint8_t>(Type::I8);
  EXPECT_EQ(refusal(bad, type_field(0)), Reason::OperandType);
}

TEST(Overlap, in_place_is_for_the_same_elements_in_the_same_places) {
  Scene scene = example("silu");
  scene.command.operands[0] = scene.command.operands[1];
  EXPECT_EQ(refusal(scene, 0), Reason::None);
  scene.command.operands[0].row_stride = 0;  // the input's rows have a gap
  EXPECT_EQ(refusal(scene, operand_field(1)), Reason::Overlap);
}

TEST(Overlap, in_place_is_not_for_a_row_that_all_rows_use) {
  Scene scene = example("add row, clamped");
  scene.command.operands[2] = scene.command.operands[0];
  EXPECT_EQ(refusal(scene, operand_field(2)), Reason::Overlap);
  Scene both = example("add");
  both.command.operands[2] = both.command.operands[0];
  EXPECT_EQ(refusal(both, 0), Reason::None);
}

TEST(Overlap, products_are_not_in_place) {
  Scene scene = example("gemm f32 f32");
  scene.command.dims[2] = 5;
  scene.command.operands[1] = scene.command.operands[0];
  EXPECT_EQ(refusal(scene, operand_field(1)), Reason::Overlap);
}

/// A product from some columns of a matrix of 3 rows of 24 f32 to others of it.
Scene columns(std::uint64_t from, std::uint64_t to) {
  Scene scene(Opcode::Gemm, {3, 8, 8});
  scene.operand({2, Type::F32, 8, 8});
  const std::uint32_t region = scene.memory.add(std::uint64_t{3} * 24 * 4);
  scene.command.operands[0] = {.offset = to * 4, .region = region, .row_stride = 24 * 4};
  scene.command.operands[1] = {.offset = from * 4, .region = region, .row_stride = 24 * 4};
  return scene;
}

TEST(Overlap, columns_of_one_matrix_may_lie_side_by_side) {
  EXPECT_EQ(refusal(columns(0, 8), 0), Reason::None);
  EXPECT_EQ(refusal(columns(8, 0), 0), Reason::None);
  EXPECT_EQ(refusal(columns(16, 0), 0), Reason::None);
  for (const std::uint64_t from : {1U, 7U, 9U, 15U}) {
    EXPECT_EQ(refusal(columns(from, 8), operand_field(1)), Reason::Overlap) << from;
  }
}

TEST(Overlap, two_regions_may_be_the_same_memory) {
  Scene scene = example("gemm f32 f32");
  Region& output = scene.memory.region(scene.command.operands[0].region);
  output.base = scene.bytes(1).data() + scene.bytes(1).size() - 4;
  EXPECT_EQ(refusal(scene, operand_field(1)), Reason::Overlap);
}

}  // namespace
}  // namespace npu
