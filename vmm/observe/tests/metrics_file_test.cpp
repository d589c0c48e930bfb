#include "vmm/observe/metrics_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace vmm::observe {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::Pair;

constexpr std::uint64_t kNone = MetricHistory::kNone;

json sample_of(std::uint64_t time_ns, json metrics) { return {{"time_ns", time_ns}, {"metrics", std::move(metrics)}}; }

/// @param buckets as text, since of nested braces it is not sure what they are
json histogram(const std::string& buckets, std::uint64_t max) {
  return {{"unit", "ns"}, {"count", 0}, {"total", 1000}, {"max", max}, {"buckets", json::parse(buckets)}};
}

TEST(MetricHistoryTest, series_have_what_did_not_change_and_nothing_before_they_were_there) {
  MetricHistory history;
  EXPECT_TRUE(history.take(sample_of(100, {{"a", 1}, {"b", 5}})));
  EXPECT_TRUE(history.take(sample_of(200, {{"a", 2}})));
  EXPECT_TRUE(history.take(sample_of(300, {{"c", 9}, {"b", nullptr}})));
  EXPECT_THAT(history.times(), ElementsAre(100, 200, 300));
  EXPECT_THAT(history.series().at("a").values, ElementsAre(1, 2, 2));
  EXPECT_THAT(history.series().at("b").values, ElementsAre(5, 5, kNone));
  EXPECT_THAT(history.series().at("c").values, ElementsAre(kNone, kNone, 9));
  EXPECT_THAT(history.last(), ElementsAre(Pair("a", 2), Pair("c", 9)));
}

TEST(MetricHistoryTest, sample_in_parts_is_one) {
  MetricHistory history;
  history.take(sample_of(100, {{"a", 1}}));
  history.take(sample_of(100, {{"b", 2}}));
  history.take(sample_of(200, {{"a", 3}}));
  history.take(sample_of(200, {{"b", 4}}));
  EXPECT_EQ(history.samples(), 2U);
  EXPECT_THAT(history.series().at("a").values, ElementsAre(1, 3));
  EXPECT_THAT(history.series().at("b").values, ElementsAre(2, 4));
}

TEST(MetricHistoryTest, samples_that_are_told_again_are_taken_once) {
  MetricHistory history;
  json with_loss = sample_of(100, {{"a", 1}});
  with_loss["lost"] = 7;
  for (int i = 0; i < 2; ++i) {
    history.take(with_loss);
    history.take(sample_of(200, {{"a", 2}}));
  }
  history.take(sample_of(300, {{"a", 3}}));
  EXPECT_THAT(history.series().at("a").values, ElementsAre(1, 2, 3));
  EXPECT_EQ(history.lost(), 7U);
}

TEST(MetricHistoryTest, more_samples_than_there_is_room_for_are_thinned_out_evenly) {
  MetricHistory history(8 * 100);
  json metrics = json::object();
  for (int i = 0; i < 8; ++i) metrics["m" + std::to_string(i)] = i;
  history.take(sample_of(1000, metrics));
  constexpr std::uint64_t kSamples = 300;  // room is for 100
  for (std::uint64_t i = 1; i < kSamples; ++i) history.take(sample_of(1000 + i, {{"m7", i}}));
  EXPECT_EQ(history.stride(), 4U);
  EXPECT_EQ(history.samples(), kSamples);
  ASSERT_EQ(history.times().size(), kSamples / 4);
  EXPECT_EQ(history.times().back(), 1000 + kSamples - 4);
  EXPECT_EQ(history.series().at("m7").values.back(), kSamples - 4);
  EXPECT_EQ(history.series().at("m6").values.size(), kSamples / 4);
  EXPECT_EQ(history.last().at("m7"), kSamples - 1);
}

TEST(MetricHistoryTest, what_a_guest_may_not_send_is_counted_and_left_out) {
  MetricHistory history;
  EXPECT_FALSE(history.take(json::array()));
  EXPECT_FALSE(history.take({{"time_ns", -1}, {"metrics", json::object()}}));
  EXPECT_FALSE(history.take({{"time_ns", 1}, {"metrics", 5}}));
  json metrics = {{"fine", 1}, {"Not this", 1}, {"negative", -1}, {"text", "1"}, {std::string(200, 'a'), 1}};
  EXPECT_TRUE(history.take(sample_of(1, metrics)));
  EXPECT_EQ(history.series().size(), 1U);
  EXPECT_EQ(history.left_out(), 4U);
}

TEST(TimeHistogramTest, percentiles_are_nearest_ranks_and_absent_where_samples_are_too_few) {
  const auto few = TimeHistogram::from(histogram("[[1, 1, 1]]", 1));
  ASSERT_TRUE(few);
  EXPECT_EQ(few->percentile(50'00), std::nullopt);
  const auto many = TimeHistogram::from(histogram("[[10, 11, 50], [20, 23, 45], [40, 47, 5]]", 45));
  ASSERT_TRUE(many);
  EXPECT_EQ(many->count(), 100U);
  EXPECT_EQ(many->percentile(50'00), 11U);  // rank 50
  EXPECT_EQ(many->percentile(50'01), 23U);  // rank 51
  EXPECT_EQ(many->percentile(95'00), 23U);  // rank 95
  EXPECT_EQ(many->percentile(99'00), 45U);  // rank 99: never above the largest
  EXPECT_EQ(many->percentile(99'90), std::nullopt);
  const auto json = many->to_json();
  EXPECT_EQ(json.at("p95"), 23);
  EXPECT_EQ(json.at("buckets").at(1), nlohmann::ordered_json::array({20, 23, 45}));
}

TEST(PercentileMetricTest, is_told_by_its_name) {
  const auto of_operator = percentile_metric("op_g_a_p95_ns");
  ASSERT_TRUE(of_operator);
  EXPECT_EQ(of_operator->histogram, "op_g_a");
  EXPECT_EQ(of_operator->samples_needed, 20U);
  EXPECT_EQ(percentile_metric("npu_latency_normal_p50_ns")->samples_needed, 2U);
  EXPECT_EQ(percentile_metric("x_p99_ns")->samples_needed, 100U);
  for (const char* other : {"op_g_a_max_ns", "op_g_a_p95", "op_g_a_p90_ns", "_p95_ns", "p95_ns", ""}) {
    EXPECT_FALSE(percentile_metric(other)) << other;
  }
}

TEST(TimeHistogramTest, buckets_that_are_none_are_refused) {
  for (const char* const buckets : {"[[1, 2]]", "[[2, 1, 1]]", "[[1, 1, 0]]", "[[5, 6, 1], [6, 7, 1]]", "[[1, 1, -1]]",
                                    "5", "[[1, 1, 18446744073709551615], [2, 2, 1]]"}) {
    EXPECT_FALSE(TimeHistogram::from(histogram(buckets, 9))) << buckets;
  }
  json many = json::array();
  for (std::size_t i = 0; i <= TimeHistogram::kMaxBuckets; ++i) many.push_back({i, i, 1});
  EXPECT_FALSE(TimeHistogram::from(histogram(many.dump(), 9)));
}

MetricsFile example() {
  MetricsFile file;
  file.machine = "m";
  file.scenario = "s";
  file.resolution_ns = 16;
  file.interval_ns = 100;
  file.history.take(sample_of(100, {{"a", 1}}));
  file.history.take(sample_of(200, {{"a", 2}, {"b", 3}}));
  file.take_histograms({{"histograms", {{"op_demo_camera", histogram("[[10, 11, 50], [20, 23, 50]]", 21)}}}});
  file.host = {{"started", "2026-01-02T03:04:05Z"},     {"duration_ns", 5},
               {"clock", {{"samples", json::array()}}}, {"steps", json::array()},
               {"device_counters", json::object()},     {"collector", json::object()}};
  return file;
}

TEST(MetricsFileTest, has_all_that_was_taken) {
  MetricsFile file = example();
  EXPECT_TRUE(file.take_metrics({{"metrics", {{"a", 7}, {"op_demo_camera_p50_ns", 11}, {"Bad", 1}}}, {"left_off", 0}}));
  const json read = json::parse(file.to_text());
  EXPECT_EQ(read["final"], json({{"a", 7}, {"op_demo_camera_p50_ns", 11}}));
  EXPECT_EQ(read["final_from"], "answer");
  EXPECT_EQ(read["left_out"], 1);
  EXPECT_EQ(read["clock"], json({{"unit", "ns"}, {"resolution_ns", 16}}));
  EXPECT_EQ(read["history"]["times_ns"], json({100, 200}));
  EXPECT_EQ(read["history"]["series"]["b"], json({nullptr, 3}));
  EXPECT_EQ(read["history"]["interval_ns"], 100);
  EXPECT_EQ(read["histograms"]["op_demo_camera"]["p99"], 21);
  EXPECT_EQ(read["host"]["duration_ns"], 5);
}

TEST(MetricsFileTest, end_of_a_frozen_history_is_its_last_sample) {
  MetricsFile file = example();
  file.take_metrics({{"metrics", {{"a", 7}}}});
  json last = sample_of(300, {{"a", 4}});
  last["frozen"] = true;
  file.history.take(last);
  const json read = json::parse(file.to_text());
  EXPECT_EQ(read["final_from"], "history");
  EXPECT_EQ(read["final"]["a"], 4);
  EXPECT_EQ(read["final"]["op_demo_camera_p50_ns"], read["histograms"]["op_demo_camera"]["p50"]);
  EXPECT_EQ(read["final"]["op_demo_camera_total_ns"], 1000);
  EXPECT_EQ(read["final"]["op_demo_camera_max_ns"], 21);
}

TEST(MetricsFileTest, guest_that_died_leaves_its_last_sample) {
  EXPECT_EQ(json::parse(example().to_text())["final"], json({{"a", 2}, {"b", 3}}));
}

TEST(MetricsFileTest, number_of_metrics_and_histograms_is_bounded) {
  MetricsFile file;
  json metrics = json::object();
  for (std::size_t i = 0; i < MetricHistory::kMaxSeries + 2; ++i) metrics["m" + std::to_string(i)] = i;
  EXPECT_FALSE(file.take_metrics({{"metrics", metrics}}));
  json histograms = json::object();
  for (std::size_t i = 0; i < MetricsFile::kMaxHistograms + 3; ++i) {
    histograms["h" + std::to_string(i)] = histogram("[[1, 1, 1]]", 1);
  }
  EXPECT_FALSE(file.take_histograms({{"histograms", histograms}}));
  EXPECT_EQ(file.left_out, 5U);
  EXPECT_EQ(file.final.size(), MetricHistory::kMaxSeries);
  EXPECT_EQ(file.histograms.size(), MetricsFile::kMaxHistograms);
}

TEST(MetricsFileTest, same_input_is_the_same_text) {
  EXPECT_EQ(example().to_text(), example().to_text());
  // For the validator, which holds it against the schema.
  if (const char* path = std::getenv("SIS_METRICS_EXAMPLE"))
    std::ofstream(path, std::ios::binary) << example().to_text();
}

}  // namespace
}  // namespace vmm::observe
