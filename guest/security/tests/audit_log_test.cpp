// The audit log: its records, its ring, its chain of hashes.
#include "guest/security/audit_log.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

namespace guest::security {
namespace {

class FakeClock final : public kernel::Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return now; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
  std::uint64_t now = 7;
};

std::string hex(const AuditHash& hash) {
  std::string text;
  for (const std::uint8_t byte : hash) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    text += digits;
  }
  return text;
}

class AuditLogTest : public ::testing::Test {
 protected:
  FakeClock clock;
  std::unique_ptr<AuditLog> log = std::make_unique<AuditLog>(clock);
};

const AuditEntry kCall = {
    .event = Event::CallRefused,
    .who = {.rights = Rights::Submit, .token = 0x8000'0001, .expires_unix_ns = 0, .connection = 3},
    .subject = 5,
    .bytes = 31,
    .operation = "graph start",
    .code = "forbidden"};

TEST_F(AuditLogTest, record_says_what_was_added) {
  log->add(kCall);
  const abi::audit::Record& record = log->at(1).record;
  EXPECT_EQ(record.sequence, 1U);
  EXPECT_EQ(record.time_ns, 7U);
  EXPECT_EQ(record.event, 4U);
  EXPECT_EQ(record.rights, 2U);
  EXPECT_EQ(record.caller, static_cast<std::uint8_t>(abi::audit::CallerKind::Connection));
  EXPECT_EQ(record.status, abi::audit::kReject);
  EXPECT_EQ(record.connection, 3U);
  EXPECT_EQ(record.token, 0x8000'0001U);
  EXPECT_EQ(record.subject, 5U);
  EXPECT_EQ(record.bytes, 31U);
  EXPECT_STREQ(record.operation, "graph start");
  EXPECT_STREQ(record.code, "forbidden");
}

/// Expected hashes: docs/audit.md followed in Python:
///   struct.pack("<QQBBBBIIII24s24s", n, 7, 4, 2, 2, 2, 3, 0x80000001, 5, 31, b"graph start", b"forbidden")
TEST_F(AuditLogTest, hashes_are_a_chain_over_the_documented_bytes) {
  log->add(kCall);
  log->add(kCall);
  EXPECT_EQ(hex(log->hash_before(1)), std::string(64, '0'));
  EXPECT_EQ(hex(log->at(1).hash), "8b6d66d0d4178ee9ae57d2f58ba46cd0beaacacb94c5f7a86ed19032a5580db3");
  EXPECT_EQ(hex(log->at(2).hash), "d167fad7dbf0f062417c8b956ec5b6a500cd165d5de770b6a6899bd78fdcbcaf");
  EXPECT_EQ(log->hash_before(2), log->at(1).hash);
}

/// The third after the two above:
///   struct.pack("<QQBBBBIIII24s24sIQQQQQ32s32s", 3, 9, 10, 7, 4, 5, 6, 0, 0, 3, b"end", b"deadline", 12, 8, 1, 2, 3,
///   0,
///               b"stories", bytes(range(32)))
TEST_F(AuditLogTest, record_of_the_llm_service_is_hashed_to_its_end) {
  abi::audit::Record record = {};
  record.time_ns = 9;
  record.event = 10;
  record.rights = 7;
  record.caller = 4;
  record.status = 5;
  record.connection = 6;
  record.bytes = 3;
  std::strcpy(record.operation, "end");
  std::strcpy(record.code, "deadline");
  record.tokens = 12;
  record.request = 8;
  record.submitted_ns = 1;
  record.began_ns = 2;
  record.ended_ns = 3;
  std::strcpy(record.model, "stories");
  for (std::uint8_t i = 0; i < 32; ++i) {
    record.prompt_sha256[i] = i;
  }
  log->add(kCall);
  log->add(kCall);
  log->append(record);
  EXPECT_EQ(hex(log->at(3).hash), "a9ad11638a1475db39c0acd92a7193ed3b9f1c8c248c6463ba1e12a0a421ac80");
}

TEST_F(AuditLogTest, newest_records_are_kept_and_the_chain_goes_on) {
  AuditHash last_lost{};
  for (std::size_t i = 0; i < AuditLog::kCapacity + 3; ++i) {
    log->add(kCall);
    if (i == 2) {
      last_lost = log->at(3).hash;
    }
  }
  EXPECT_EQ(log->count(), AuditLog::kCapacity + 3);
  EXPECT_EQ(log->kept(), AuditLog::kCapacity);
  EXPECT_EQ(log->overwritten(), 3U);
  EXPECT_EQ(log->at(4).record.sequence, 4U);
  EXPECT_EQ(log->hash_before(4), last_lost);
  EXPECT_EQ(log->at(log->count()).record.sequence, AuditLog::kCapacity + 3);
}

TEST(AuditEvents, every_event_has_a_name) {
  for (unsigned i = 1; i <= static_cast<unsigned>(Event::RecordsLost); ++i) {
    EXPECT_NE(abi::audit::to_string(static_cast<Event>(i)), "unknown");
  }
  EXPECT_EQ(abi::audit::to_string(Event::TokenAccepted), "token-accepted");
  EXPECT_EQ(abi::audit::to_string(Event::RecordsLost), "records-lost");
  EXPECT_EQ(abi::audit::to_string(Event{}), "unknown");
}

}  // namespace
}  // namespace guest::security
