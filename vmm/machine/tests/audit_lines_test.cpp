// What the guest sends of its audit log, as the lines of a file.
#include "vmm/machine/audit_lines.hpp"

#include <gtest/gtest.h>

namespace vmm::machine {
namespace {

using nlohmann::json;
using Taken = AuditLines::Taken;

/// Not a hash of anything: numbers are told apart by it.
std::string hash(unsigned number) { return std::string(62, 'a') + (number < 10 ? "0" : "") + std::to_string(number); }
const std::string kZeros(64, '0');

/// Records `first` to `last` behind `before`.
json event(unsigned first, unsigned last, const std::string& before) {
  json records = json::array();
  for (unsigned i = first; i <= last; ++i) records.push_back({{"sequence", i}, {"hash", hash(i)}});
  return {{"before", before}, {"records", records}};
}

std::string start(const std::string& before) { return R"({"audit":2,"before":")" + before + "\"}\n"; }
std::string record(unsigned number) {
  return R"({"hash":")" + hash(number) + R"(","sequence":)" + std::to_string(number) + "}\n";
}
std::string end(const std::string& how, unsigned last, const std::string& last_hash) {
  return R"({"end":")" + how + R"(","hash":")" + last_hash + R"(","last":)" + std::to_string(last) + "}\n";
}

class AuditLinesTest : public testing::Test {
 protected:
  std::string out;
  AuditLines lines{false};
};

TEST_F(AuditLinesTest, records_are_lines_between_a_start_and_an_end) {
  EXPECT_EQ(lines.take(event(1, 2, kZeros), out), Taken::All);
  EXPECT_EQ(lines.next(), 3U);
  EXPECT_EQ(lines.take(event(3, 3, hash(2)), out), Taken::All);
  lines.end("shutdown", out);
  EXPECT_EQ(out, start(kZeros) + record(1) + record(2) + record(3) + end("shutdown", 3, hash(3)));
}

TEST_F(AuditLinesTest, gap_is_a_line_that_says_how_many) {
  lines.take(event(1, 1, kZeros), out);
  out.clear();
  EXPECT_EQ(lines.take(event(9, 9, hash(8)), out), Taken::All);
  EXPECT_EQ(out, R"({"before":")" + hash(8) + "\",\"lost\":7}\n" + record(9));
}

TEST_F(AuditLinesTest, log_that_was_written_over_before_the_first_look_has_lost_its_beginning) {
  EXPECT_EQ(lines.take(event(9, 9, hash(8)), out), Taken::All);
  EXPECT_EQ(out, start(kZeros) + R"({"before":")" + hash(8) + "\",\"lost\":8}\n" + record(9));
}

TEST(RestoredAuditLines, log_of_a_restored_machine_begins_in_the_middle) {
  AuditLines lines(true);
  std::string out;
  EXPECT_EQ(lines.take(event(9, 9, hash(8)), out), Taken::All);
  EXPECT_EQ(out, start(hash(8)) + record(9));
}

TEST_F(AuditLinesTest, guest_that_starts_again_has_a_chain_of_its_own) {
  lines.take(event(1, 3, kZeros), out);
  EXPECT_EQ(lines.take(event(4, 5, hash(9)), out), Taken::NotOurs);
  EXPECT_EQ(lines.take(event(2, 2, hash(1)), out), Taken::NotOurs);
  out.clear();
  lines.restart(out);
  EXPECT_EQ(lines.next(), 1U);
  EXPECT_EQ(lines.take(event(1, 1, kZeros), out), Taken::All);
  EXPECT_EQ(out, end("reboot", 3, hash(3)) + start(kZeros) + record(1));
  EXPECT_EQ(lines.starts(), 2U);
}

TEST_F(AuditLinesTest, guest_that_sent_nothing_leaves_a_start_and_an_end) {
  lines.end("panic", out);
  EXPECT_EQ(out, start(kZeros) + end("panic", 0, kZeros));
}

TEST_F(AuditLinesTest, events_that_are_none_are_not_taken) {
  for (const json& bad :
       {json(), json::object(), json{{"before", kZeros}, {"records", 1}},
        json{{"before", kZeros}, {"records", json::array()}}, event(1, 1, "00"),
        json{{"before", kZeros}, {"records", {1}}}, json{{"before", kZeros}, {"records", {{{"sequence", 1}}}}},
        json{{"before", kZeros}, {"records", {{{"sequence", -1}, {"hash", hash(1)}}}}}}) {
    EXPECT_EQ(lines.take(bad, out), Taken::Malformed) << bad;
  }
  json jumps = event(1, 2, kZeros);
  jumps["records"][1]["sequence"] = 4;
  EXPECT_EQ(lines.take(jumps, out), Taken::Malformed);
  EXPECT_EQ(out, "");
}

TEST_F(AuditLinesTest, text_of_the_guest_cannot_break_a_line) {
  json hostile = event(1, 1, kZeros);
  hostile["records"][0]["op"] = "a\nb\xff";
  EXPECT_EQ(lines.take(hostile, out), Taken::All);
  EXPECT_NE(out.find(R"("op":"a\nb\ufffd")"), std::string::npos) << out;
}

}  // namespace
}  // namespace vmm::machine
