// The guest reads of models what the scenario says.
#include <gtest/gtest.h>

#include "guest/kernel/boot_config.hpp"
#include "vmm/scenario/boot_archive.hpp"

namespace vmm::scenario {
namespace {

TEST(LlmTree, guest_reads_models_as_the_scenario_says_them) {
  Scenario scenario;
  scenario.name = "models";
  scenario.llm = {.public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                  .allow_unsigned = true,
                  .models = {{.file = "/m/tiny.gguf"}, {.file = "/m/x-1.2.gguf", .min_revision = 0xffff'ffff}}};
  const auto tree = make_tree(scenario, {.control_key = {}});
  ASSERT_TRUE(tree) << tree.error().message;
  guest::kernel::BootConfig config;
  const auto outcome = guest::kernel::read_scenario_tree(*tree, config);
  ASSERT_TRUE(outcome) << outcome.error().detail.view();
  ASSERT_TRUE(config.llm.public_key);
  EXPECT_EQ(config.llm.public_key->front(), 0xD7);
  EXPECT_EQ(config.llm.public_key->back(), 0x1A);
  EXPECT_TRUE(config.llm.allow_unsigned);
  ASSERT_EQ(config.llm.models.size(), 2U);
  EXPECT_EQ(config.llm.models[0].name.view(), "tiny");
  EXPECT_EQ(config.llm.models[0].min_revision, 0U);
  EXPECT_EQ(config.llm.models[1].name.view(), "x-1.2");
  EXPECT_EQ(config.llm.models[1].min_revision, 0xffff'ffffU);

  scenario.llm = {};
  ASSERT_TRUE(guest::kernel::read_scenario_tree(*make_tree(scenario, {.control_key = {}}), config));
  EXPECT_TRUE(config.llm.models.empty() && !config.llm.public_key);
}

}  // namespace
}  // namespace vmm::scenario
