#include "vmm/machine/trace_expectations.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace vmm::machine {
namespace {

using abi::trace::Record;
using abi::trace::Type;

Record record(std::uint64_t time_ns, Type type, std::uint16_t cpu = 0) {
  return {.time_ns = time_ns,
          .type = static_cast<std::uint16_t>(type),
          .cpu = cpu,
          .argument0 = 0,
          .argument1 = 0,
          .argument2 = 0};
}

nlohmann::json event(const std::vector<Record>& records, std::vector<std::uint64_t> lost_by_cpu = {0, 0}) {
  std::vector<std::uint8_t> bytes(records.size() * sizeof(Record));
  std::memcpy(bytes.data(), records.data(), bytes.size());
  return {{"records", nlohmann::json::binary(std::move(bytes))}, {"lost_by_cpu", std::move(lost_by_cpu)}};
}

class TraceExpectationsTest : public testing::Test {
 protected:
  // In the order of the CPUs, as the guest sends them: the job ends on one before the other takes the next one.
  TraceExpectationsTest() {
    EXPECT_TRUE(
        records_.take(event({record(10, Type::NpuSubmit), record(40, Type::NpuSubmit), record(20, Type::NpuEnd, 1)})));
  }
  std::vector<observe::ExpectationResult> evaluate(bool complete = true) {
    return evaluate_trace(expect_, records_, complete);
  }

  observe::TraceRecords records_;
  scenario::Expectations expect_;
};

TEST_F(TraceExpectationsTest, events_of_a_kind_are_counted) {
  expect_.trace = {{"npu-submit", {.equals = 2}}, {"npu-end", {.min = 2}}, {"throttle", {.equals = 0}}};
  const auto results = evaluate();
  EXPECT_TRUE(results.at(0).passed);
  EXPECT_EQ(results.at(0).subject, "npu-submit");
  EXPECT_FALSE(results.at(1).passed);
  EXPECT_EQ(results.at(1).actual, 1);
  EXPECT_TRUE(results.at(2).passed);
}

TEST_F(TraceExpectationsTest, order_is_that_of_their_times_on_all_cpus) {
  expect_.trace_order = {"npu-submit", "npu-end", "npu-submit"};
  EXPECT_TRUE(evaluate().at(0).passed);
  expect_.trace_order = {"npu-submit", "npu-submit", "npu-end"};
  const auto result = evaluate().at(0);
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.actual, R"(no "npu-end" after number 2)");
}

TEST_F(TraceExpectationsTest, no_count_of_a_trace_with_gaps_holds) {
  expect_.trace = {{"throttle", {.equals = 0}}};
  EXPECT_TRUE(evaluate().at(0).passed);
  EXPECT_EQ(evaluate(false).at(0).actual, "0 in a trace that is not whole");
  EXPECT_FALSE(evaluate(false).at(0).passed);
  ASSERT_TRUE(records_.take(event({record(50, Type::NpuEnd)}, {3, 0})));
  EXPECT_FALSE(evaluate().at(0).passed);
  expect_.trace_order = {"npu-submit", "npu-end"};
  EXPECT_TRUE(evaluate().at(1).passed) << "what was seen has been there";
}

}  // namespace
}  // namespace vmm::machine
