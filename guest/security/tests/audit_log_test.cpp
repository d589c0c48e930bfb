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
  EXPECT_EQ(record.connection, 3U);
  EXPECT_EQ(record.token, 0x8000'0001U);
  EXPECT_EQ(record.subject, 5U);
  EXPECT_EQ(record.bytes, 31U);
  EXPECT_STREQ(record.operation, "graph start");
  EXPECT_STREQ(record.code, "forbidden");
}

/// Expected hashes: docs/audit.md followed in Python:
///   struct.pack("<QQBBHIIII24s24s", n, 7, 4, 2, 0, 3, 0x80000001, 5, 31, b"graph start", b"forbidden")
TEST_F(AuditLogTest, hashes_are_a_chain_over_the_documented_bytes) {
  log->add(kCall);
  log->add(kCall);
  EXPECT_EQ(hex(log->hash_before(1)), std::string(64, '0'));
  EXPECT_EQ(hex(log->at(1).hash), "9a52c20b39d5f15a592da1db5559eb8c116224c7126e9babe9fd524b8831b3ab");
  EXPECT_EQ(hex(log->at(2).hash), "db1727009aca21e85808e343105625a11b15bdd773e2414a84b20ff26c014218");
  EXPECT_EQ(log->hash_before(2), log->at(1).hash);
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
  for (unsigned i = 1; i <= static_cast<unsigned>(Event::LegacyTokenRemoved); ++i) {
    EXPECT_NE(to_string(static_cast<Event>(i)), "unknown");
  }
}

}  // namespace
}  // namespace guest::security
