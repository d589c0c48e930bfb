#include "vmm/devices/npu/pace.hpp"

#include <gtest/gtest.h>

namespace vmm::npu {
namespace {

using abi::npu::Opcode;
using std::chrono::microseconds;

::npu::Checked command_of(Opcode opcode, abi::npu::Type weights = abi::npu::Type::F32) {
  ::npu::Checked command;
  command.opcode = opcode;
  command.operands[2].type = weights;
  return command;
}

TEST(Pace, is_slow_before_anything_is_known) {
  EXPECT_EQ(Pace().cycles_in(command_of(Opcode::Gemm), microseconds(500)), 50'000U);
}

TEST(Pace, comes_to_what_slices_take_by_a_factor_of_2_at_most) {
  const ::npu::Checked gemm = command_of(Opcode::Gemm);
  Pace pace;
  pace.learn(gemm, 100'000, microseconds(200), 1);
  EXPECT_EQ(pace.cycles_in(gemm, microseconds(100)), 20'000U);
  for (int i = 0; i < 3; ++i) pace.learn(gemm, 100'000, microseconds(200), 1);
  EXPECT_EQ(pace.cycles_in(gemm, microseconds(100)), 50'000U);
  pace.learn(gemm, 100'000, microseconds(100'000), 1);
  EXPECT_EQ(pace.cycles_in(gemm, microseconds(100)), 25'000U) << "one slice that the host disturbed";
}

TEST(Pace, is_of_a_thread_and_of_a_kind_of_command) {
  Pace pace;
  for (int i = 0; i < 4; ++i) pace.learn(command_of(Opcode::Gemm), 100'000, microseconds(100), 2);
  EXPECT_EQ(pace.cycles_in(command_of(Opcode::Gemm), microseconds(100)), 50'000U);
  EXPECT_EQ(pace.cycles_in(command_of(Opcode::Gemm, abi::npu::Type::Q8_0), microseconds(100)), 10'000U);
  EXPECT_EQ(pace.cycles_in(command_of(Opcode::Add), microseconds(100)), 10'000U);
}

TEST(Pace, has_limits) {
  const ::npu::Checked gemm = command_of(Opcode::Gemm);
  Pace pace;
  pace.learn(gemm, 4999, microseconds(0), 1);
  EXPECT_EQ(pace.cycles_in(gemm, microseconds(100)), 10'000U) << "too short to tell";
  for (int i = 0; i < 100; ++i) pace.learn(gemm, 1'000'000'000, microseconds(0), 1);
  EXPECT_EQ(pace.cycles_in(gemm, microseconds(1)), 1'000'000U);
  for (int i = 0; i < 100; ++i) pace.learn(gemm, 5000, std::chrono::hours(100'000), 16);
  EXPECT_EQ(pace.cycles_in(gemm, microseconds(1)), 1U);
}

}  // namespace
}  // namespace vmm::npu
