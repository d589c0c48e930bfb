// Audit logs in files: those that are whole, and what is said of each way to tamper with one.
#include "tools/audit_file.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace sisctl {
namespace {

using Lines = std::vector<std::string>;

/// Four records of a run, one of the LLM service's, with the hashes that the Python of docs/audit.md makes of them.
const Lines kWhole = {
    R"({"audit":2,"before":"0000000000000000000000000000000000000000000000000000000000000000"})",
    R"({"sequence":1,"time_ns":1000,"event":"token-accepted","rights":7,"caller":"connection","status":1,"connection":2,"token":1,"subject":0,"bytes":50,"op":"","code":"","hash":"d2a15acd2c373209817a0d3a0691f2e775deb8d80eb63291d3d00612e77563f8"})",
    R"({"sequence":2,"time_ns":2000,"event":"call-done","rights":7,"caller":"connection","status":1,"connection":2,"token":1,"subject":0,"bytes":30,"op":"log","code":"","hash":"c8e9ab428d7699cddcc94c57de7277e638473061598ee69dfb63690a21db2b46"})",
    R"({"sequence":3,"time_ns":3000,"event":"llm","rights":7,"caller":"connection","status":2,"connection":2,"token":1,"subject":0,"bytes":3,"op":"refuse","code":"llm-over-budget","tokens":64,"request":0,"submitted_ns":2900,"began_ns":0,"ended_ns":0,"fits_at_ns":9000,"model":"stories","prompt_sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","hash":"cf7a33fee66a8bce86e8779b2c6be1b286a19877c8e72c47c520eda0b5dbbfa0"})",
    R"({"sequence":4,"time_ns":4000,"event":"call-refused","rights":7,"caller":"connection","status":2,"connection":2,"token":1,"subject":0,"bytes":30,"op":"call","code":"not-found","hash":"420cfb79dfdf784f3e498b0146b7aa43e52d9f146203e5944e5f94a5bb5ca834"})",
    R"({"end":"shutdown","last":4,"hash":"420cfb79dfdf784f3e498b0146b7aa43e52d9f146203e5944e5f94a5bb5ca834"})",
};
constexpr std::size_t kFirstRecord = 1;
constexpr std::size_t kEnd = 5;

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

/// "ok", or the first problem: "line 3: changed".
std::string verdict(const std::string& text) {
  std::istringstream in(text);
  const auto verified = verify_audit(in);
  return verified ? "ok" : "line " + std::to_string(verified.error().line) + ": " + verified.error().kind;
}
std::string verdict(const Lines& lines) { return verdict(joined(lines)); }

std::string message(const Lines& lines) {
  std::istringstream in(joined(lines));
  const auto verified = verify_audit(in);
  return verified ? "ok" : verified.error().message;
}

/// The whole file with `from` as `to` in one line.
Lines with(std::size_t line, const std::string& from, const std::string& to) {
  Lines lines = kWhole;
  const std::size_t at = lines[line].find(from);
  EXPECT_NE(at, std::string::npos) << from;
  lines[line].replace(at, from.size(), to);
  return lines;
}

Lines without(std::size_t line) {
  Lines lines = kWhole;
  lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(line));
  return lines;
}

std::string hash_of(std::size_t line) {
  const auto record = nlohmann::json::parse(kWhole[line]);
  return record["hash"];
}

TEST(AuditFile, whole_file_is_the_chain_that_was_recorded) {
  std::istringstream in(joined(kWhole));
  const auto verified = verify_audit(in);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->records, 4U);
  EXPECT_EQ(verified->first, 1U);
  EXPECT_EQ(verified->last, 4U);
  EXPECT_EQ(verified->starts, 1U);
  EXPECT_EQ(verified->end, "shutdown");
  EXPECT_EQ(verified->hash, hash_of(4));
}

TEST(AuditFile, every_field_of_a_record_is_covered) {
  for (const std::string field : {"time_ns", "rights", "status", "connection", "token", "subject", "bytes", "tokens",
                                  "request", "submitted_ns", "began_ns", "ended_ns", "fits_at_ns"}) {
    const std::string key = '"' + field + "\":";
    EXPECT_EQ(verdict(with(3, key, key + "1")).substr(0, 7), "line 4:") << field;
  }
  EXPECT_EQ(verdict(with(3, "\"llm\"", "\"call-done\"")), "line 4: not-a-record");
  EXPECT_EQ(verdict(with(2, "call-done", "call-refused")), "line 3: changed");
  EXPECT_EQ(verdict(with(2, "\"connection\",", "\"graph\",")), "line 3: changed");
  EXPECT_EQ(verdict(with(2, "\"log\"", "\"lof\"")), "line 3: changed");
  EXPECT_EQ(verdict(with(3, "stories", "storien")), "line 4: changed");
  EXPECT_EQ(verdict(with(3, "ba7816bf", "ba7816be")), "line 4: changed");
  EXPECT_EQ(verdict(with(4, hash_of(4), hash_of(3))), "line 5: changed");
}

TEST(AuditFile, record_says_only_what_its_hash_covers) {
  EXPECT_EQ(verdict(with(2, "{", "{\"note\":1,")), "line 3: not-a-record");
  EXPECT_EQ(verdict(with(2, "{", "{\"tokens\":0,")), "line 3: not-a-record");
  EXPECT_EQ(verdict(with(2, "\"bytes\":30,", "")), "line 3: not-a-record");
  EXPECT_EQ(verdict(with(2, "\"rights\":7", "\"rights\":263")), "line 3: not-a-record");
  EXPECT_EQ(verdict(with(2, "\"rights\":7", "\"rights\":7.0")), "line 3: not-a-record");
  EXPECT_EQ(verdict(with(2, "\"log\"", "\"log\\u0000\"")), "line 3: not-a-record");
  EXPECT_EQ(verdict(with(2, "{", "{\"op\":\"x\",")), "line 3: not-json");
  EXPECT_EQ(message(with(2, "\"bytes\":30,", "")), "a record whose bytes is missing");
  EXPECT_EQ(message(with(2, "\"rights\":7", "\"rights\":\"all\"")),
            "a record whose rights: found \"all\", expected an integer of at most 255");
}

TEST(AuditFile, missing_reordered_and_renumbered_records_are_told_apart) {
  EXPECT_EQ(verdict(without(2)), "line 3: missing");
  Lines swapped = kWhole;
  std::swap(swapped[2], swapped[3]);
  EXPECT_EQ(verdict(swapped), "line 3: reordered");
  Lines twice = kWhole;
  twice.insert(twice.begin() + 3, kWhole[2]);
  EXPECT_EQ(verdict(twice), "line 4: reordered");
  EXPECT_EQ(verdict(with(1, "\"sequence\":1", "\"sequence\":0")), "line 2: wrong-sequence");
  Lines renumbered = without(2);
  renumbered[2].replace(renumbered[2].find("\"sequence\":3"), 12, "\"sequence\":2");
  EXPECT_EQ(verdict(renumbered), "line 3: changed");
  EXPECT_EQ(message(without(2)), "record 3 stands where record 2 should: 1 of them are missing");
}

TEST(AuditFile, file_that_was_cut_says_where) {
  EXPECT_EQ(verdict(std::string()), "line 0: truncated");
  EXPECT_EQ(verdict(without(0)), "line 1: truncated");
  EXPECT_EQ(verdict(without(kFirstRecord)), "line 2: missing");
  EXPECT_EQ(verdict(without(kEnd)), "line 5: truncated");
  EXPECT_EQ(message(without(kEnd)),
            "the file ends here without saying how the guest ended: it was cut off, or is still being written, or the "
            "monitor was killed");
  EXPECT_EQ(verdict(without(kEnd - 1)), "line 5: missing");
  const std::string text = joined(kWhole);
  EXPECT_EQ(verdict(text.substr(0, text.size() - 9)), "line 6: truncated");
  EXPECT_EQ(verdict(text + "{}\n"), "line 7: not-a-record");
}

TEST(AuditFile, what_is_no_line_of_an_audit_log_is_refused) {
  Lines lines = kWhole;
  lines[2] = "no JSON";
  EXPECT_EQ(verdict(lines), "line 3: not-json");
  lines[2] = "[1]";
  EXPECT_EQ(verdict(lines), "line 3: not-json");
  lines[2] = "{}";
  EXPECT_EQ(verdict(lines), "line 3: not-a-record");
  EXPECT_EQ(verdict(with(0, "2", "1")), "line 1: not-a-record");
  EXPECT_EQ(verdict(with(0, "00", "0")), "line 1: not-a-record");
  EXPECT_EQ(verdict(std::string(2 << 20, ' ')), "line 1: not-json");
}

TEST(AuditFile, lost_records_are_a_problem_but_a_smaller_one_than_a_change) {
  Lines lines = kWhole;
  lines[2] = "{\"lost\":2,\"before\":\"" + hash_of(3) + "\"}";
  lines.erase(lines.begin() + 3);
  EXPECT_EQ(verdict(lines), "line 3: lost");
  lines[3].replace(lines[3].find("not-found"), 9, "forbidden");
  EXPECT_EQ(verdict(lines), "line 4: changed");
  EXPECT_EQ(verdict(with(kEnd, "shutdown", "not-followed")), "line 6: lost");
}

TEST(AuditFile, guest_that_starts_again_begins_again) {
  Lines lines = kWhole;
  lines[kEnd].replace(lines[kEnd].find("shutdown"), 8, "reboot");
  EXPECT_EQ(verdict(lines), "line 6: truncated");
  lines.insert(lines.end(), kWhole.begin(), kWhole.end());
  EXPECT_EQ(verdict(lines), "ok");
  lines.erase(lines.begin() + kEnd);
  EXPECT_EQ(verdict(lines), "line 6: truncated");
  Lines later = kWhole;
  later[kEnd].replace(later[kEnd].find("shutdown"), 8, "reboot");
  later.push_back("{\"audit\":2,\"before\":\"" + hash_of(1) + "\"}");
  EXPECT_EQ(verdict(later), "line 7: missing");
}

TEST(AuditFile, machine_that_was_restored_goes_on_in_the_middle) {
  Lines lines = kWhole;
  lines[0] = "{\"audit\":2,\"before\":\"" + hash_of(1) + "\"}";
  lines.erase(lines.begin() + kFirstRecord);
  EXPECT_EQ(verdict(lines), "ok");
  lines[0] = "{\"audit\":2,\"before\":\"" + hash_of(2) + "\"}";
  EXPECT_EQ(verdict(lines), "line 2: changed");
}

TEST(AuditFile, saved_answer_is_verified_too) {
  const auto answer = [](const std::string& before, const Lines& records) {
    std::string text = "{\"before\":\"" + before + "\",\"kept\":4,\"records\":[";
    for (const std::string& record : records) text += (text.ends_with('[') ? "" : ",") + record;
    return text + "]}\n";
  };
  const std::string zeros(64, '0');
  EXPECT_EQ(verdict(answer(zeros, {kWhole[1], kWhole[2], kWhole[3], kWhole[4]})), "ok");
  EXPECT_EQ(verdict(answer(hash_of(2), {kWhole[3], kWhole[4]})), "ok");
  EXPECT_EQ(verdict(answer(zeros, {kWhole[1], kWhole[3], kWhole[2]})), "line 1: reordered");
  EXPECT_EQ(verdict(answer(zeros, {kWhole[1], kWhole[3]})), "line 1: missing");
  EXPECT_EQ(verdict(answer(zeros, {with(1, "50", "51")[1]})), "line 1: changed");
  EXPECT_EQ(verdict(answer("x", {})), "line 1: not-a-record");
  EXPECT_EQ(verdict(answer(zeros, {"1"})), "line 1: not-a-record");
  EXPECT_EQ(verdict(answer(zeros, {kWhole[1]}) + kWhole[2] + "\n"), "line 2: not-a-record");
}

}  // namespace
}  // namespace sisctl
