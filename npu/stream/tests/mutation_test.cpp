// What must not be in a command, tried on one of every kind.
#include <gtest/gtest.h>

#include "../src/fields.hpp"
#include "npu/testing/examples.hpp"

namespace npu {
namespace {

using abi::npu::kMaxDims;
using abi::npu::kMaxOperands;
using abi::npu::kMaxParams;
using abi::npu::Opcode;
using abi::npu::Reason;
using abi::npu::Status;
using testing::Example;
using testing::Scene;

constexpr std::uint32_t kNoField = 0xFFFF'FFFF;

void expect_fault(const Scene& scene, Status status, Reason reason, std::uint32_t field) {
  const auto checked = scene.check();
  ASSERT_FALSE(checked) << "it was accepted";
  EXPECT_EQ(checked.error().reason, reason);
  EXPECT_EQ(checked.error().status, status);
  if (field != kNoField) {
    EXPECT_EQ(checked.error().field_offset, field);
  }
}

class Mutation : public ::testing::TestWithParam<Example> {
 protected:
  Scene scene = GetParam().make();

  [[nodiscard]] Scene fresh() const { return GetParam().make(); }
  /// Calls visit(operand) for each one that is there.
  template <typename Visit>
  void each_operand(Visit&& visit) const {
    for (unsigned i = 0; i < kMaxOperands; ++i) {
      if (scene.has(i)) {
        SCOPED_TRACE(i);
        visit(i);
      }
    }
  }
  [[nodiscard]] bool is_output(unsigned operand) const {
    return operand == 0 || (operand == 2 && scene.command.opcode == static_cast<unsigned>(Opcode::TopK));
  }
  /// Operands that the command can do without: bias of products, weight and bias of norms.
  [[nodiscard]] bool is_optional(unsigned operand) const {
    const auto opcode = static_cast<Opcode>(scene.command.opcode.value());
    switch (opcode) {
      case Opcode::Gemm:
      case Opcode::Conv2d:
      case Opcode::DepthwiseConv2d:
        return operand == 3;
      case Opcode::RmsNorm:
      case Opcode::LayerNorm:
        return operand >= 2;
      default:
        return false;
    }
  }
};

TEST_P(Mutation, as_it_is_it_is_accepted) {
  const auto checked = scene.check();
  ASSERT_TRUE(checked) << static_cast<unsigned>(checked.error().reason) << " at " << checked.error().field_offset;
  each_operand([&](unsigned i) {
    EXPECT_EQ(checked->operands[i].data, scene.bytes(i).data());
    EXPECT_EQ((checked->operands[i].rows - 1) * checked->operands[i].row_stride + checked->operands[i].row_bytes,
              scene.bytes(i).size());
  });
  EXPECT_GE(checked->cost.cycles, checked->cost.compute_cycles);
  EXPECT_GE(checked->cost.cycles, checked->cost.memory_cycles);
}

TEST_P(Mutation, one_byte_less_is_outside) {
  each_operand([&](unsigned i) {
    Scene less = fresh();
    less.memory.region(less.command.operands[i].region).bytes -= 1;
    expect_fault(less, Status::Region, Reason::OutsideRegion, operand_field(i));
  });
}

TEST_P(Mutation, offsets_that_leave_or_wrap_are_outside) {
  each_operand([&](unsigned i) {
    const std::uint64_t bytes = fresh().bytes(i).size();
    for (const std::uint64_t offset : {std::uint64_t{4}, bytes, bytes + 4, ~std::uint64_t{0}, ~std::uint64_t{3},
                                       ~bytes + 1, std::uint64_t{1} << 63}) {
      SCOPED_TRACE(offset);
      Scene moved = fresh();
      moved.command.operands[i].offset = offset;
      expect_fault(moved, Status::Region, Reason::OutsideRegion, operand_field(i));
    }
  });
}

TEST_P(Mutation, an_address_that_is_not_aligned_is_refused) {
  each_operand([&](unsigned i) {
    const std::uint64_t alignment = testing::alignment_of(scene.spec(i).type);
    if (alignment == 1) {
      return;
    }
    Scene moved = fresh();
    moved.command.operands[i].region = moved.memory.add(scene.bytes(i).size() + 1);
    moved.command.operands[i].offset = 1;
    expect_fault(moved, Status::Region, Reason::Misaligned, operand_field(i));

    // A region may begin anywhere: what counts is where the element is.
    Region& region = moved.memory.region(moved.command.operands[i].region);
    region.base += 1;
    region.bytes -= 1;
    moved.command.operands[i].offset = 0;
    expect_fault(moved, Status::Region, Reason::Misaligned, operand_field(i));
  });
}

TEST_P(Mutation, strides_below_a_row_or_not_aligned_are_refused) {
  each_operand([&](unsigned i) {
    const std::uint64_t row = testing::row_bytes(scene.spec(i).type, scene.spec(i).columns);
    const std::uint64_t alignment = testing::alignment_of(scene.spec(i).type);
    for (const std::uint64_t stride : {row - 1, row - alignment, row + alignment - 1}) {
      Scene changed = fresh();
      changed.command.operands[i].row_stride = static_cast<std::uint32_t>(stride);
      if (stride != 0 && stride != row) {
        expect_fault(changed, Status::Region, Reason::RowStride, stride_field(i));
      }
    }
    Scene huge = fresh();
    huge.command.operands[i].row_stride = 0xFFFF'FFFC;
    if (scene.spec(i).rows > 1) {
      expect_fault(huge, Status::Region, Reason::OutsideRegion, operand_field(i));
    }
  });
}

TEST_P(Mutation, regions_must_exist_and_give_the_right) {
  each_operand([&](unsigned i) {
    for (const std::uint32_t handle : {100U, 0x7FFF'FFFFU, 0xFFFF'FFFFU}) {
      Scene unknown = fresh();
      unknown.command.operands[i].region = handle;
      expect_fault(unknown, Status::Region, Reason::UnknownRegion, region_field(i));
    }
    Scene without = fresh();
    without.memory.region(without.command.operands[i].region).flags =
        is_output(i) ? abi::npu::region_flag::kRead : abi::npu::region_flag::kWrite;
    expect_fault(without, Status::Region, is_output(i) ? Reason::ReadOnlyRegion : Reason::WriteOnlyRegion,
                 region_field(i));
    Scene immutable = fresh();
    immutable.memory.region(immutable.command.operands[i].region).flags |= abi::npu::region_flag::kImmutable;
    if (is_output(i)) {
      expect_fault(immutable, Status::Region, Reason::ReadOnlyRegion, region_field(i));
    } else {
      EXPECT_TRUE(immutable.check());
    }
  });
}

TEST_P(Mutation, operands_are_there_or_are_all_zero) {
  each_operand([&](unsigned i) {
    Scene without = fresh();
    without.command.operands[i] = {};
    without.command.types[i] = 0;
    if (!is_optional(i)) {
      // Without its type another form may be meant, which misses something else.
      ASSERT_FALSE(without.check());
      without.command.types[i] = scene.command.types[i];
      expect_fault(without, Status::Region, Reason::MissingOperand, region_field(i));
      return;
    }
    EXPECT_TRUE(without.check());
    without.command.operands[i].offset = 4;
    expect_fault(without, Status::Parse, Reason::ReservedField, operand_field(i));
    without.command.operands[i].offset = 0;
    without.command.types[i] = 1;
    expect_fault(without, Status::Parse, Reason::ReservedField, type_field(i));
  });
}

TEST_P(Mutation, an_operand_too_many_is_refused) {
  for (unsigned i = 0; i < kMaxOperands; ++i) {
    if (scene.has(i)) {
      continue;
    }
    // Norms without weights are not among the examples: each of their optional operands is there.
    Scene more = fresh();
    more.command.operands[i].region = more.memory.add(4096);
    if (!is_optional(i)) {
      expect_fault(more, Status::Parse, Reason::ReservedField, region_field(i));
    }
    more.command.operands[i].region = 0;
    more.command.operands[i].row_stride = 8;
    expect_fault(more, Status::Parse, Reason::ReservedField, operand_field(i));
    more.command.operands[i].row_stride = 0;
    more.command.types[i] = 2;
    expect_fault(more, Status::Parse, Reason::ReservedField, type_field(i));
  }
}

TEST_P(Mutation, types_that_do_not_exist_are_refused) {
  each_operand([&](unsigned i) {
    for (const std::uint8_t type : {std::uint8_t{7}, std::uint8_t{32}, std::uint8_t{64}, std::uint8_t{255}}) {
      Scene changed = fresh();
      changed.command.types[i] = type;
      expect_fault(changed, Status::Type, Reason::OperandType, type_field(i));
    }
  });
}

TEST_P(Mutation, other_types_never_reach_beyond_the_region) {
  each_operand([&](unsigned i) {
    for (std::uint8_t type = 0; type < abi::npu::kTypes; ++type) {
      Scene changed = fresh();
      changed.command.types[i] = type;
      const auto checked = changed.check();
      if (!checked) {
        EXPECT_NE(checked.error().reason, Reason::None);
        continue;
      }
      const Operand& operand = checked->operands[i];
      EXPECT_LE((operand.rows - 1) * operand.row_stride + operand.row_bytes, changed.bytes(i).size());
    }
  });
}

TEST_P(Mutation, dimensions_are_in_range_or_zero) {
  const auto opcode = static_cast<Opcode>(scene.command.opcode.value());
  const bool is_convolution = opcode == Opcode::Conv2d || opcode == Opcode::DepthwiseConv2d;
  for (unsigned i = 0; i < kMaxDims; ++i) {
    SCOPED_TRACE(i);
    Scene changed = fresh();
    if (scene.command.dims[i] == 0) {
      changed.command.dims[i] = 1;
      expect_fault(changed, Status::Parse, Reason::ReservedField, dim_field(i));
      continue;
    }
    for (const std::uint32_t value : {0x8000'0000U, 0xFFFF'FFFFU}) {
      changed.command.dims[i] = value;
      expect_fault(changed, Status::Type, Reason::Dimension, dim_field(i));
    }
    changed.command.dims[i] = 0;
    if (opcode != Opcode::Attention || i != abi::npu::dim::attention::kPast) {
      expect_fault(changed, Status::Type, Reason::Dimension, dim_field(i));
    } else {
      EXPECT_TRUE(changed.check());
    }
    changed.command.dims[i] = 0x7FFF'FFFF;
    // With the largest dilation a window has one tap within the image: that is a shape.
    EXPECT_EQ(changed.check().has_value(), is_convolution && i == abi::npu::dim::image::kDilation);
  }
}

TEST_P(Mutation, all_dimensions_at_their_largest_are_refused) {
  for (auto& value : scene.command.dims) {
    value = value != 0 ? 0x7FFF'FFFFU : 0;
  }
  EXPECT_EQ(scene.check().has_value(), scene.command.opcode == 0);
}

TEST_P(Mutation, parameters_that_are_not_used_are_zero) {
  for (unsigned i = 0; i < kMaxParams; ++i) {
    if (scene.command.params[i] != 0) {
      continue;
    }
    Scene changed = fresh();
    changed.command.params[i] = 0x8000'0000;  // -0 as f32, the least i32, too large for a padding
    const auto checked = changed.check();
    // What is used and 0 in the examples: offsets and the like, of which -0 is one.
    if (!checked) {
      EXPECT_EQ(checked.error().field_offset, param_field(i));
      EXPECT_EQ(checked.error().reason, Reason::ReservedField);
    }
  }
}

TEST_P(Mutation, flags_that_the_command_does_not_have_are_refused) {
  namespace flag = abi::npu::command_flag;
  const auto opcode = static_cast<Opcode>(scene.command.opcode.value());
  for (unsigned bit = 0; bit < 16; ++bit) {
    Scene changed = fresh();
    changed.command.flags = static_cast<std::uint16_t>(changed.command.flags ^ 1U << bit);
    const auto checked = changed.check();
    const bool known = (1U << bit) <= flag::kPerTensor && opcode != Opcode::Nop;
    if (!known) {
      expect_fault(changed, Status::Parse, Reason::Flags, kFlagsField);
    } else if (!checked && checked.error().reason == Reason::Flags) {
      EXPECT_EQ(checked.error().field_offset, kFlagsField);
    }
  }
}

TEST_P(Mutation, reserved_bytes_are_zero) {
  for (unsigned i = 0; i < sizeof(scene.command.reserved); ++i) {
    Scene changed = fresh();
    changed.command.reserved[i] = 1;
    expect_fault(changed, Status::Parse, Reason::ReservedField, kReservedField + i);
  }
}

TEST_P(Mutation, a_command_over_the_limit_is_refused) {
  Model model;
  model.max_command_cycles = scene.check()->cost.cycles;
  EXPECT_TRUE(scene.check(model));
  model.max_command_cycles -= 1;
  const auto checked = scene.check(model);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().reason, Reason::CommandCycles);
  EXPECT_EQ(checked.error().status, Status::Budget);
}

/// Outputs and another operand in one region, the other one `shift` bytes behind the output's first byte.
Scene together(Scene scene, unsigned output, unsigned other, std::int64_t shift) {
  const std::uint64_t room = scene.bytes(output).size() + scene.bytes(other).size() + 64;
  const std::uint32_t region = scene.memory.add(2 * room);
  const auto base = static_cast<std::int64_t>((room + 63) / 64 * 64);
  scene.command.operands[output].region = region;
  scene.command.operands[output].offset = static_cast<std::uint64_t>(base);
  scene.command.operands[other].region = region;
  scene.command.operands[other].offset = static_cast<std::uint64_t>(base + shift);
  return scene;
}

TEST_P(Mutation, an_output_touches_no_other_operand) {
  each_operand([&](unsigned output) {
    if (!is_output(output)) {
      return;
    }
    each_operand([&](unsigned other) {
      if (other == output) {
        return;
      }
      const auto size = static_cast<std::int64_t>(scene.bytes(output).size());
      const auto behind = static_cast<std::int64_t>(scene.bytes(other).size());
      for (const std::int64_t shift : {size - 4, 4 - behind}) {
        // Where the operand is all alone at the edge, 4 bytes are less than its alignment allows.
        const Scene changed = together(fresh(), output, other, shift / 4 * 4);
        const auto checked = changed.check();
        ASSERT_FALSE(checked) << shift;
        EXPECT_EQ(checked.error().reason, Reason::Overlap);
        EXPECT_EQ(checked.error().status, Status::Region);
      }
      for (const std::int64_t shift : {(size + 3) / 4 * 4, -(behind + 3) / 4 * 4}) {
        EXPECT_TRUE(together(fresh(), output, other, shift).check()) << shift;
      }
    });
  });
}

INSTANTIATE_TEST_SUITE_P(Commands, Mutation, ::testing::ValuesIn(testing::examples()), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  }
  return name;
});

TEST(Opcodes, those_that_do_not_exist_are_refused) {
  for (const std::uint16_t opcode : {std::uint16_t{22}, std::uint16_t{256}, std::uint16_t{0xFFFF}}) {
    Scene scene(Opcode::Nop, {});
    scene.command.opcode = opcode;
    expect_fault(scene, Status::Parse, Reason::Opcode, kOpcodeField);
  }
}

}  // namespace
}  // namespace npu
