#include "tools/web/prometheus_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sis_web {
namespace {

using testing::HasSubstr;
using testing::Not;

const nlohmann::json kNone = nlohmann::json::object();

TEST(PrometheusText, what_grows_is_a_counter_and_times_are_seconds) {
  const std::string text = prometheus_text("m", true,
                                           {{"op_a_runs", 3},
                                            {"op_a_total_ns", 2'500'000'000},
                                            {"op_a_p50_ns", 500'000'000},
                                            {"npu_busy_permille", 250},
                                            {"schema_mismatch_count", 1},
                                            {"npu_jobs_in_flight", 2}},
                                           kNone);
  EXPECT_THAT(text, HasSubstr("# TYPE sis_op_a_runs_total counter\nsis_op_a_runs_total{machine=\"m\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("sis_op_a_seconds_total{machine=\"m\"} 2.5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE sis_op_a_p50_seconds gauge\nsis_op_a_p50_seconds{machine=\"m\"} 0.5\n"));
  EXPECT_THAT(text, HasSubstr("sis_npu_busy_ratio{machine=\"m\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("sis_schema_mismatch_total{machine=\"m\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE sis_npu_jobs_in_flight gauge\n"));
  EXPECT_THAT(text, HasSubstr("sis_up{machine=\"m\"} 1\n"));
}

TEST(PrometheusText, buckets_are_cumulative) {
  const nlohmann::json histograms = {{"op_a",
                                      {{"count", 5},
                                       {"total", 4'000'000'000},
                                       {"max", 1},
                                       {"buckets", {{0, 500'000'000, 2}, {500'000'001, 1'000'000'000, 3}}}}}};
  const std::string text = prometheus_text("m", true, {}, histograms);
  EXPECT_THAT(text, HasSubstr("sis_op_a_seconds_bucket{machine=\"m\",le=\"0.5\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("sis_op_a_seconds_bucket{machine=\"m\",le=\"1\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("sis_op_a_seconds_count{machine=\"m\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("sis_op_a_seconds_sum{machine=\"m\"} 4\n"));
}

TEST(PrometheusText, names_that_prometheus_does_not_allow_are_left_out_and_two_of_one_name_differ) {
  const std::string text = prometheus_text("a\"\n\\", true, {{"x\"}", 1}, {"Y", 1}, {"t_ns", 1}, {"t_us", 2}}, kNone);
  EXPECT_THAT(text, Not(HasSubstr("x\"}")));
  EXPECT_THAT(text, Not(HasSubstr("sis_Y")));
  EXPECT_THAT(text, HasSubstr("sis_t_seconds{machine=\"a\\\"\\n\\\\\"} 1e-09\n"));
  EXPECT_THAT(text, HasSubstr("sis_t_us{"));
}

}  // namespace
}  // namespace sis_web
