#include "vmm/report/trace_excerpt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmm::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(TraceExcerpt, the_earliest_events_stay_with_all_names_wherever_they_are_in_the_file) {
  const auto excerpt =
      trace_excerpt(R"({"traceEvents":[{"ph":"X","ts":30.000,"name":"third"},{"ph":"X","ts":10.001,"name":"first"},)"
                    R"({"ph":"M","name":"thread_name"},{"ph":"B","ts":20.5,"name":"second"}],"otherData":{"host":7}})",
                    {.events = 2});
  ASSERT_TRUE(excerpt) << excerpt.error().message;
  EXPECT_EQ(*excerpt,
            "{\"events_total\":4,\"left_out\":1,\"traceEvents\":[\n{\"ph\":\"M\",\"name\":\"thread_name\"},\n"
            "{\"ph\":\"X\",\"ts\":10.001,\"name\":\"first\"},\n{\"ph\":\"B\",\"ts\":20.5,\"name\":\"second\"}],"
            "\"otherData\":{\"host\":7}}");
}

TEST(TraceExcerpt, bytes_are_bounded_and_what_has_no_time_is_left_out) {
  const std::string events = R"({"traceEvents":[{"ts":1,"n":"aaaa"},{"ts":2,"n":"bbbb"},{"n":1},7,{"ts":"x"}]})";
  const auto excerpt = trace_excerpt(events, {.bytes = 20});
  ASSERT_TRUE(excerpt);
  EXPECT_THAT(*excerpt, HasSubstr("\"events_total\":5,\"left_out\":4"));
  EXPECT_THAT(*trace_excerpt(events, {.event_bytes = 10}), Not(HasSubstr("aaaa")));
}

TEST(TraceExcerpt, what_is_no_trace_is_said) {
  EXPECT_THAT(trace_excerpt("nonsense").error().message, HasSubstr("JSON object"));
  EXPECT_THAT(trace_excerpt("{}").error().message, HasSubstr("traceEvents"));
  EXPECT_THAT(trace_excerpt(R"({"traceEvents":{}})").error().message, HasSubstr("traceEvents"));
}

}  // namespace
}  // namespace vmm::report
