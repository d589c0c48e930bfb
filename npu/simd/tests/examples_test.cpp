// The examples of every command.
#include <algorithm>

#include "agree.hpp"

namespace npu::testing {
namespace {

class EveryCommand : public ::testing::TestWithParam<Example> {};

TEST_P(EveryCommand, is_within_its_tolerance_and_the_same_in_all_sets) {
  if (GetParam().make().command.opcode != 0) {
    expect_agreement(GetParam().make, GetParam().name);
  }
}

std::string name_of(const ::testing::TestParamInfo<Example>& info) {
  std::string name = info.param.name;
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Commands, EveryCommand, ::testing::ValuesIn(examples()), name_of);

/// FNV-1a over the rows of all outputs of the examples.
std::uint64_t digest() {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const Example& each : examples()) {
    Scene scene = each.make();
    if (scene.command.opcode == 0) {
      continue;
    }
    run(scene, simd_kernels());
    for (const std::byte byte : scene.bytes(0)) {
      hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100'0000'01B3;
    }
  }
  return hash;
}

TEST(Sets, give_the_same_bytes_on_every_machine) { EXPECT_EQ(digest(), 2848064343373038925U); }

}  // namespace
}  // namespace npu::testing
