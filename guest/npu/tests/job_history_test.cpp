#include "guest/npu/job_history.hpp"

#include <gtest/gtest.h>

namespace guest::npu {
namespace {

using abi::npu::Priority;
using abi::npu::Status;

struct JobHistoryTest : ::testing::Test {
  JobHistory history;

  void begin(std::uint64_t id, std::uint32_t origin = 0) {
    abi::npu::JobHeader header{};
    header.id = id;
    header.origin = origin;
    header.commands = 3;
    header.priority = static_cast<std::uint8_t>(Priority::High);
    history.began(id, header, 1000 + id);
  }
  void end(std::uint64_t id, Status status = Status::Ok) {
    history.ended({.id = id, .status = status, .submitted_ns = 1000 + id, .ended_ns = 2000 + id, .run_ns = 10});
  }
};

TEST_F(JobHistoryTest, a_job_is_in_flight_until_it_has_ended) {
  begin(1, 7);
  const auto flying = history.find(1);
  ASSERT_TRUE(flying.has_value());
  EXPECT_TRUE(flying->in_flight);
  EXPECT_EQ(flying->origin, 7U);
  EXPECT_EQ(flying->priority, Priority::High);
  EXPECT_EQ(flying->commands, 3U);
  EXPECT_EQ(flying->end.submitted_ns, 1001U);
  end(1, Status::Aborted);
  EXPECT_FALSE(history.find(1)->in_flight);
  EXPECT_EQ(history.find(1)->end.status, Status::Aborted);
  EXPECT_EQ(history.find(1)->end.ended_ns, 2001U);
}

TEST_F(JobHistoryTest, there_is_nothing_of_jobs_that_there_are_not) {
  EXPECT_FALSE(history.find(0).has_value());
  EXPECT_FALSE(history.find(1).has_value());
  begin(1);
  EXPECT_FALSE(history.find(1 + JobHistory::kPlaces).has_value()) << "the same place";
  history.taken_back(1);
  EXPECT_FALSE(history.find(1).has_value());
  EXPECT_EQ(history.totals().in_flight, 0U);
  EXPECT_EQ(history.totals().ended, 0U);
}

TEST_F(JobHistoryTest, the_oldest_are_forgotten_for_the_newest) {
  for (std::uint64_t id = 1; id <= 2 * JobHistory::kPlaces; ++id) {
    begin(id);
    end(id);
  }
  EXPECT_FALSE(history.find(JobHistory::kPlaces).has_value());
  EXPECT_TRUE(history.find(JobHistory::kPlaces + 1).has_value());
  EXPECT_EQ(history.totals().ended, 2 * JobHistory::kPlaces);
  EXPECT_EQ(history.totals().last_id, 2 * JobHistory::kPlaces);
}

TEST_F(JobHistoryTest, one_that_is_in_flight_for_long_keeps_its_place) {
  begin(1);
  begin(1 + JobHistory::kPlaces);
  EXPECT_EQ(history.totals().in_flight, 2U);
  end(1 + JobHistory::kPlaces);
  ASSERT_TRUE(history.find(1).has_value());
  EXPECT_TRUE(history.find(1)->in_flight);
  EXPECT_EQ(history.totals().ended, 1U) << "counted all the same";
  end(1);
  EXPECT_FALSE(history.find(1)->in_flight);
}

TEST_F(JobHistoryTest, totals_are_of_all) {
  for (std::uint64_t id = 1; id <= 3; ++id) {
    begin(id);
  }
  end(2);
  end(1, Status::Budget);
  begin(4);
  end(3);
  const JobTotals totals = history.totals();
  EXPECT_EQ(totals.in_flight, 1U);
  EXPECT_EQ(totals.most_in_flight, 3U);
  EXPECT_EQ(totals.by_status[static_cast<unsigned>(Status::Ok)], 2U);
  EXPECT_EQ(totals.by_status[static_cast<unsigned>(Status::Budget)], 1U);
  EXPECT_EQ(totals.run_ns, 30U);
}

}  // namespace
}  // namespace guest::npu
