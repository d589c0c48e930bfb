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

}  // namespace
}  // namespace npu::testing
