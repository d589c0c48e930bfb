#include "vmm/machine/audit_expectations.hpp"

#include <gtest/gtest.h>

namespace vmm::machine {
namespace {

using scenario::AuditExpectation;

constexpr char kRecords[] =
    R"({"audit":2,"before":"00"})"
    "\n"
    R"({"sequence":1,"event":"call-done","op":"reboot","code":"","caller":"connection"})"
    "\n"
    R"({"sequence":2,"event":"call-refused","op":"sleep","code":"bad-argument","caller":"console"})"
    "\n";
constexpr char kEnd[] = R"({"end":"shutdown","last":2,"hash":"00"})";

observe::ExpectationResult evaluate(const AuditExpectation& wanted, const std::string& lines) {
  return evaluate_audit({wanted}, lines).at(0);
}

TEST(AuditExpectations, records_that_match_all_fields_are_counted) {
  const std::string lines = std::string(kRecords) + kEnd;
  const AuditExpectation refused{.event = scenario::Condition{.equals = "call-refused"},
                                 .code = scenario::Condition{.matches = "^bad-"}};
  const auto result = evaluate(refused, lines);
  EXPECT_TRUE(result.passed);
  EXPECT_EQ(result.subject, R"(event "call-refused", code matches "^bad-")");
  EXPECT_EQ(result.wanted, "at least 1 times");
  EXPECT_EQ(result.actual, 1);
  EXPECT_FALSE(evaluate({.op = scenario::Condition{.equals = "ping"}}, lines).passed);
  EXPECT_TRUE(
      evaluate({.op = scenario::Condition{.equals = "ping"}, .count = scenario::Condition{.equals = 0}}, lines).passed);
  EXPECT_TRUE(evaluate({.count = scenario::Condition{.equals = 2}}, lines).passed);
}

TEST(AuditExpectations, of_a_log_that_is_not_whole_none_holds) {
  const AuditExpectation none{.event = scenario::Condition{.equals = "llm"}, .count = scenario::Condition{.equals = 0}};
  EXPECT_TRUE(evaluate(none, std::string(kRecords) + kEnd).passed);
  for (const std::string& lines :
       {std::string(), std::string(kRecords), std::string(kRecords) + R"({"lost":5,"before":"00"})" + "\n" + kEnd,
        std::string(kRecords) + R"({"end":"not-followed","last":2,"hash":"00"})",
        std::string(kRecords) + R"({"end":"reboot","last":2,"hash":"00"})", std::string(kRecords) + "{\n" + kEnd}) {
    const auto result = evaluate(none, lines);
    EXPECT_FALSE(result.passed) << lines;
    EXPECT_EQ(result.actual, "0 in a log that is not whole") << lines;
  }
}

}  // namespace
}  // namespace vmm::machine
