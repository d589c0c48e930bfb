// Records on their way into the audit log: their order, and that what finds no room is told.
#include "guest/security/audit_queue.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace guest::security {
namespace {

class NoClock final : public kernel::Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return 0; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
};

class AuditQueueTest : public ::testing::Test {
 protected:
  void put(std::uint64_t request, std::uint64_t count = 1) {
    for (std::uint64_t i = 0; i < count; ++i) {
      abi::audit::Record record = {};
      record.event = static_cast<std::uint8_t>(Event::Llm);
      record.time_ns = 1000 + request + i;
      record.request = request + i;
      queue->put(record);
    }
  }
  /// Turns until nothing is raised.
  unsigned run() {
    unsigned turns = 0;
    while (work.run_one()) {
      ++turns;
    }
    return turns;
  }
  /// "3": of that request; "(5 lost at 1003)". Since the last call.
  std::vector<std::string> added() {
    std::vector<std::string> all;
    for (; seen < log->count(); ++seen) {
      const abi::audit::Record& record = log->at(seen + 1).record;
      all.push_back(record.event == static_cast<std::uint8_t>(Event::Llm)
                        ? std::to_string(record.request)
                        : "(" + std::to_string(record.subject) + " " +
                              std::string(abi::audit::to_string(static_cast<Event>(record.event))) + " at " +
                              std::to_string(record.time_ns) + ")");
    }
    return all;
  }

  NoClock clock;
  kernel::WorkQueue work;
  std::uint64_t seen = 0;
  std::unique_ptr<AuditLog> log = std::make_unique<AuditLog>(clock);
  std::unique_ptr<AuditQueue> queue = std::make_unique<AuditQueue>(*log, work);
};

using Words = std::vector<std::string>;
constexpr std::size_t kCapacity = AuditQueue::kCapacity;

TEST_F(AuditQueueTest, log_is_crowded_while_only_what_nobody_asks_for_has_room) {
  put(1, AuditQueue::kCrowded);
  EXPECT_FALSE(log->is_crowded());
  put(1000);
  EXPECT_TRUE(log->is_crowded());
  put(2000, AuditLog::kStillToCome - 1);
  run();
  EXPECT_FALSE(log->is_crowded());
  EXPECT_EQ(log->count(), AuditQueue::kCrowded + AuditLog::kStillToCome);
  EXPECT_EQ(added().back(), std::to_string(2000 + AuditLog::kStillToCome - 2));
}

TEST_F(AuditQueueTest, records_reach_the_log_in_the_loop_and_in_order) {
  put(1, 3);
  EXPECT_EQ(log->count(), 0U);
  run();
  put(4);
  run();
  EXPECT_EQ(added(), (Words{"1", "2", "3", "4"}));
}

TEST_F(AuditQueueTest, many_records_leave_turns_for_others) {
  put(0, 2 * AuditQueue::kRecordsPerTurn);
  EXPECT_EQ(run(), 3U);  // the last one finds nothing
  EXPECT_EQ(log->count(), 2 * AuditQueue::kRecordsPerTurn);
}

TEST_F(AuditQueueTest, lost_records_are_a_record_behind_the_last) {
  put(0, kCapacity + 7);
  run();
  const Words all = added();
  ASSERT_EQ(all.size(), kCapacity + 1);
  EXPECT_EQ(all[kCapacity - 1], std::to_string(kCapacity - 1));
  EXPECT_EQ(all[kCapacity], "(7 records-lost at " + std::to_string(1000 + kCapacity) + ")");
  put(5000);
  run();
  EXPECT_EQ(added(), (Words{"5000"}));
}

TEST_F(AuditQueueTest, lost_records_stand_where_they_would_have_been) {
  put(0, kCapacity + 2);
  ASSERT_TRUE(work.run_one());  // one turn makes some room
  put(5000);
  run();
  const Words all = added();
  ASSERT_EQ(all.size(), kCapacity + 2);
  EXPECT_EQ(all[kCapacity], "(2 records-lost at " + std::to_string(1000 + kCapacity) + ")");
  EXPECT_EQ(all[kCapacity + 1], "5000");
}

TEST_F(AuditQueueTest, end_of_the_machine_finds_the_log_complete) {
  put(0, kCapacity + 2);
  log->tell_power_off();
  const Words all = added();
  ASSERT_EQ(all.size(), kCapacity + 1);
  EXPECT_EQ(all.back(), "(2 records-lost at " + std::to_string(1000 + kCapacity) + ")");
}

}  // namespace
}  // namespace guest::security
