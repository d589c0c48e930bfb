// The guest reads of models what the scenario says.
#include <gtest/gtest.h>

#include "guest/kernel/boot_config.hpp"
#include "guest/llm/service/options.hpp"
#include "vmm/scenario/boot_archive.hpp"

namespace vmm::scenario {
namespace {

TEST(LlmTree, guest_reads_limits_as_the_scenario_says_them) {
  Scenario scenario;
  scenario.name = "limits";
  scenario.scheduler.servers = {
      {.name = "a", .budget = std::chrono::milliseconds(1), .period = std::chrono::seconds(1)},
      {.name = "b", .budget = std::chrono::milliseconds(1), .period = std::chrono::seconds(1)}};
  scenario.llm = {
      .allow_unsigned = true,
      .models = {{.file = "/m/tiny.gguf", .load = false}},
      .server = "b",
      .in_flight = 1,
      .queue = 2,
      .requests = 3,
      .requests_per_owner = 3,
      .prompt_bytes = 5,
      .stream_chunks = 33,
      .step_tokens = 7,
      .sessions = 0,
      .session_bytes = 9,
      .period = std::chrono::milliseconds(20),
      .tokens_per_period = 10,
      .cycles_per_period = std::uint64_t{1} << 40,
      .hold_periods = 12,
      .classes = {{.name = "rest"},
                  {.name = "ours", .tokens_per_period = 4, .in_flight = 1, .members = {"tasks", "token:x"}}}};
  const auto tree = make_tree(scenario, {.control_key = {}});
  ASSERT_TRUE(tree) << tree.error().message;
  guest::kernel::BootConfig config;
  const auto outcome = guest::kernel::read_scenario_tree(*tree, config);
  ASSERT_TRUE(outcome) << outcome.error().detail.view();
  const guest::kernel::LlmConfig& llm = config.llm;
  EXPECT_FALSE(llm.models[0].load);
  EXPECT_EQ(llm.server, 1U);
  const guest::kernel::LlmLimits& limits = llm.limits;
  EXPECT_TRUE(limits.in_flight == 1U && limits.queue == 2U && limits.requests == 3U && limits.requests_per_owner == 3U);
  EXPECT_TRUE(limits.prompt_bytes == 5U && limits.stream_chunks == 33U && limits.step_tokens == 7U);
  EXPECT_TRUE(limits.sessions == 0U && limits.session_bytes == 9U && limits.period_ns == 20'000'000U);
  EXPECT_TRUE(limits.tokens_per_period == 10U && limits.cycles_per_period == std::uint64_t{1} << 40);
  EXPECT_EQ(limits.hold_periods, 12U);
  ASSERT_EQ(llm.classes.size(), 2U);
  EXPECT_EQ(llm.classes[1].tokens_per_period, 4U);
  EXPECT_EQ(llm.classes[1].in_flight, 1U);
  EXPECT_EQ(llm.classes[1].members[1].view(), "token:x");
}

/// docs/scenario.md states the service's own defaults.
TEST(LlmTree, defaults_are_those_of_the_service) {
  const Llm said;
  const guest::llm::ServiceOptions used;
  EXPECT_EQ(said.in_flight, used.in_flight);
  EXPECT_EQ(said.queue, used.queue);
  EXPECT_EQ(said.requests, used.requests);
  EXPECT_EQ(said.requests_per_owner, used.requests_per_owner);
  EXPECT_EQ(said.prompt_bytes, used.prompt_bytes);
  EXPECT_EQ(said.stream_chunks, used.stream_chunks);
  EXPECT_EQ(said.step_tokens, used.step_tokens);
  EXPECT_EQ(said.sessions, used.sessions);
  EXPECT_EQ(said.session_bytes, used.session_bytes);
  EXPECT_EQ(static_cast<std::uint64_t>(said.period.count()), used.period_ns);
  EXPECT_EQ(said.tokens_per_period, used.tokens_per_period);
  EXPECT_EQ(said.cycles_per_period, used.cycles_per_period);
  EXPECT_EQ(said.hold_periods, used.hold_periods);
}

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

  EXPECT_TRUE(config.llm.models[0].load && config.llm.wanted);
  EXPECT_FALSE(config.llm.server);

  scenario.llm = {};
  ASSERT_TRUE(guest::kernel::read_scenario_tree(*make_tree(scenario, {.control_key = {}}), config));
  EXPECT_TRUE(config.llm.models.empty() && !config.llm.public_key);
}

}  // namespace
}  // namespace vmm::scenario
