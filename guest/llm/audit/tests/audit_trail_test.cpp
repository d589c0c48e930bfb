// What the LLM service tells, as records of the audit log.
#include "guest/llm/audit/audit_trail.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "guest/llm/service/owner.hpp"

namespace guest::llm {
namespace {

class NoClock final : public kernel::Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return 0; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
};

TEST(AuditTrail, record_has_all_that_the_service_told) {
  AuditEntry entry = {.operation = AuditOperation::End,
                      .caller = {.owner = owner_id(OwnerKind::Connection, 9), .token = 7, .rights = 3},
                      .request = 5,
                      .model = "stories.Q8_0-1",
                      .prompt_bytes = 11,
                      .tokens = 12,
                      .decision = "deadline",
                      .status = AuditEntry::kDeadlineMiss,
                      .at_ns = 400,
                      .submitted_ns = 100,
                      .began_ns = 200,
                      .ended_ns = 300,
                      .fits_at_ns = 500};
  entry.prompt_sha256[31] = 0xEE;
  const abi::audit::Record record = record_of(entry);
  EXPECT_EQ(record.event, 10U);
  EXPECT_EQ(record.time_ns, 400U);
  EXPECT_EQ(record.rights, 3U);
  EXPECT_EQ(record.caller, static_cast<std::uint8_t>(abi::audit::CallerKind::Connection));
  EXPECT_EQ(record.status, 4U);
  EXPECT_EQ(record.connection, 9U);
  EXPECT_EQ(record.token, 7U);
  EXPECT_EQ(record.bytes, 11U);
  EXPECT_STREQ(record.operation, "end");
  EXPECT_STREQ(record.code, "deadline");
  EXPECT_EQ(record.tokens, 12U);
  EXPECT_EQ(record.request, 5U);
  EXPECT_EQ(record.submitted_ns, 100U);
  EXPECT_EQ(record.began_ns, 200U);
  EXPECT_EQ(record.ended_ns, 300U);
  EXPECT_EQ(record.fits_at_ns, 500U);
  EXPECT_STREQ(record.model, "stories.Q8_0-1");
  EXPECT_EQ(record.prompt_sha256[31], 0xEE);
}

TEST(AuditTrail, callers_of_every_kind_have_a_name) {
  const auto caller = [](OwnerKind kind) {
    return static_cast<abi::audit::CallerKind>(record_of({.caller = {.owner = owner_id(kind, 1)}}).caller);
  };
  EXPECT_EQ(caller(OwnerKind::Kernel), abi::audit::CallerKind::Kernel);
  EXPECT_EQ(caller(OwnerKind::Shell), abi::audit::CallerKind::Console);
  EXPECT_EQ(caller(OwnerKind::Connection), abi::audit::CallerKind::Connection);
  EXPECT_EQ(caller(OwnerKind::Graph), abi::audit::CallerKind::Graph);
  EXPECT_EQ(caller(OwnerKind::Task), abi::audit::CallerKind::Task);
}

TEST(AuditTrail, model_of_a_stranger_says_nothing_that_no_id_may_say) {
  const std::string asked = std::string("a\n\xff") + std::string(90, 'x');
  const abi::audit::Record record = record_of({.operation = AuditOperation::Refuse, .caller = {}, .model = asked});
  EXPECT_EQ(std::string(record.model, sizeof(record.model)), "a??" + std::string(29, 'x'));
}

TEST(AuditTrail, entries_reach_the_log_through_the_loop) {
  const NoClock clock;
  kernel::WorkQueue work;
  const auto log = std::make_unique<security::AuditLog>(clock);
  const auto queue = std::make_unique<security::AuditQueue>(*log, work);
  AuditTrail trail(*queue);
  trail.record(
      {.operation = AuditOperation::Load, .caller = {}, .model = "m", .decision = "ok", .status = AuditEntry::kOk});
  while (work.run_one()) {
  }
  ASSERT_EQ(log->count(), 1U);
  EXPECT_STREQ(log->at(1).record.operation, "load");
}

}  // namespace
}  // namespace guest::llm
