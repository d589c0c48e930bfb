#include <gmock/gmock.h>

#include "../src/demo_model.hpp"
#include "npu_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;

TEST_F(NpuCommandTest, mldemo_knows_most_of_what_it_was_trained_for) {
  const json answer = call("mldemo", {"40"});
  ASSERT_TRUE(answer.contains("right")) << answer;
  EXPECT_EQ(answer["model"], "patterns");
  EXPECT_EQ(answer["images"], 40);
  EXPECT_GE(answer["accuracy_permille"], 900) << answer;
  EXPECT_EQ(answer["classes"][1]["class"], "checker");
  EXPECT_EQ(answer["classes"][1]["images"], 10);
  EXPECT_EQ(answer["accuracy_permille"], answer["right"].get<int>() * 1000 / 40);
  EXPECT_TRUE(answer.contains("latency_p95_ns"));
  EXPECT_FALSE(answer.contains("latency_p99_ns")) << "40 samples do not support it";
}

TEST_F(NpuCommandTest, mldemo_of_a_network_of_convolutions) {
  const json answer = call("mldemo", {"6", "shapes"});
  ASSERT_TRUE(answer.contains("right")) << answer;
  EXPECT_EQ(answer["classes"].size(), 6U);
  EXPECT_GE(answer["right"], 4) << answer;
}

TEST_F(NpuCommandTest, infdemo_goes_from_image_to_class) {
  const json answer = call("infdemo", {"patterns", "3"});
  ASSERT_TRUE(answer.contains("class")) << answer;
  EXPECT_EQ(answer["expected"], "circle");
  EXPECT_EQ(answer["class"], "circle");
  EXPECT_EQ(answer["right"], true);
  EXPECT_EQ(answer["picture"].size(), 8U) << "of 16 rows";
  std::uint64_t cycles = 0;
  for (const json& layer : answer["layers"]) {
    cycles += layer["cycles"].get<std::uint64_t>();
  }
  EXPECT_EQ(answer["cycles"], cycles) << "known before it ran";
  std::size_t best = 0;
  for (std::size_t i = 0; i < answer["scores"].size(); ++i) {
    best = answer["scores"][i]["thousandths"] > answer["scores"][best]["thousandths"] ? i : best;
  }
  EXPECT_EQ(answer["scores"][best]["class"], "circle");
  EXPECT_THAT(rendered, HasSubstr("class: circle, right\n"));
}

TEST_F(NpuCommandTest, ai_bench_measures_what_there_is) {
  const json answer = call("ai_bench", {"patterns", "2"});
  ASSERT_TRUE(answer.contains("results")) << answer;
  ASSERT_EQ(answer["results"].size(), 1U) << "the CPU alone";
  const json& row = answer["results"][0];
  EXPECT_EQ(row["accelerator"], "cpu");
  EXPECT_GT(row["cycles"], 200);
  EXPECT_TRUE(row.contains("latency_p50_ns"));
  EXPECT_FALSE(row.contains("cpu_to_npu_permille"));
}

TEST_F(NpuCommandTest, demos_of_an_npu_without_power_say_so) {
  call("npu power", {"off"});
  for (const char* name : {"mldemo", "infdemo", "ai_bench"}) {
    EXPECT_THAT(told(call(name)), HasSubstr("failed: npu-refused: ")) << name;
  }
  call("npu power", {"on"});
}

TEST(DemoModel, numbers_of_f32_in_thousandths) {
  EXPECT_EQ(to_thousandths(0), 0);
  EXPECT_EQ(to_thousandths(0x3f80'0000), 1000);               // 1
  EXPECT_EQ(to_thousandths(0xc148'0000), -12'500);            // -12.5
  EXPECT_EQ(to_thousandths(0x3a83'126f), 1);                  // 0.001
  EXPECT_EQ(to_thousandths(0x0000'0001), 0);                  // the smallest
  EXPECT_EQ(to_thousandths(0x4f00'0000), 2'147'483'648'000);  // 2^31
  EXPECT_FALSE(to_thousandths(0x5000'0000).has_value());
  EXPECT_FALSE(to_thousandths(0x7f80'0000).has_value());
  EXPECT_FALSE(to_thousandths(0x7fc0'0000).has_value());
}

}  // namespace
}  // namespace guest::control::testing
