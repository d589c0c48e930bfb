#include "vmm/report/run_data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace vmm::report {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ReadRun : public testing::Test {
 protected:
  ReadRun() {
    std::string name = (fs::temp_directory_path() / "sis-report-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    write("summary.json", "{\"machine\": \"m\"}\n");
  }
  ~ReadRun() override { fs::remove_all(folder_); }
  ReadRun(const ReadRun&) = delete;
  ReadRun& operator=(const ReadRun&) = delete;

  void write(const char* name, const std::string& text) const { std::ofstream(folder_ / name) << text; }

  [[nodiscard]] std::string error() const {
    const auto run = read_run(folder_);
    return run ? std::string() : run.error().message;
  }

  fs::path folder_;
};

TEST_F(ReadRun, a_summary_is_enough) {
  const auto run = read_run(folder_);
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->summary, "{\"machine\": \"m\"}\n");
  EXPECT_FALSE(run->scenario);
  EXPECT_TRUE(run->metrics.empty());
  EXPECT_TRUE(run->trace.empty());
}

TEST_F(ReadRun, servers_are_those_of_the_scenario_and_of_its_graphs) {
  write("scenario.yaml",
        "apiVersion: sis/v1\nscheduler:\n  servers: [{name: s, budget: 1ms, period: 4ms}]\n"
        "graphs:\n  - name: g\n    server: {budget: 2ms, period: 5ms}\n"
        "    operators: [{id: 1, name: a, kind: synthetic-source, stage: acquire, out: [1]},"
        "      {id: 2, name: b, kind: sink, stage: explain, in: [1]}]\n    channels: [{id: 1, capacity: 1}]\n");
  const auto run = read_run(folder_);
  ASSERT_TRUE(run) << run.error().message;
  ASSERT_EQ(run->servers.size(), 2U);
  EXPECT_EQ(run->servers[0].name, "s");
  EXPECT_EQ(run->servers[0].budget, std::chrono::milliseconds(1));
  EXPECT_EQ(run->servers[1].name, "g.cpu0");
  EXPECT_EQ(run->servers[1].period, std::chrono::milliseconds(5));
}

TEST_F(ReadRun, audit_log_is_counted) {
  write("audit.jsonl",
        "{\"audit\":2,\"before\":\"00\"}\n{\"sequence\":1,\"event\":\"llm\",\"time_ns\":5}\n{\"lost\":3}\n"
        "{\"sequence\":5,\"event\":\"llm\",\"time_ns\":9}\n{\"end\":\"shutdown\"}\n");
  EXPECT_EQ(read_run(folder_)->audit,
            R"({"boots":1,"events":{"llm":2},"first_time_ns":5,"last_time_ns":9,"lost":3,"records":2})");
}

TEST_F(ReadRun, what_is_wrong_names_the_file_and_what_was_expected) {
  write("metrics.json", "{\"format\":\"other\",\"version\":1}");
  EXPECT_THAT(error(), HasSubstr((folder_ / "metrics.json").string() + ": expected \"format\": \"sis-metrics\""));
  fs::remove(folder_ / "metrics.json");
  write("trace.json", "[]");
  EXPECT_THAT(error(), HasSubstr("trace.json: expected a JSON object"));
  fs::remove(folder_ / "trace.json");
  write("audit.jsonl", "{}\nnonsense\n");
  EXPECT_THAT(error(), HasSubstr("audit.jsonl: line 2: expected a JSON object"));
  fs::remove(folder_ / "audit.jsonl");
  fs::create_directory(folder_ / "metrics.json");
  EXPECT_THAT(error(), HasSubstr("metrics.json"));
  fs::remove(folder_ / "metrics.json");
  fs::remove(folder_ / "summary.json");
  EXPECT_THAT(error(), HasSubstr("summary.json"));
  EXPECT_EQ(read_run(folder_).error().exit_code, abi::ExitCode::Usage);
}

TEST_F(ReadRun, a_file_that_is_too_large_is_noted) {
  write("metrics.json", "");
  fs::resize_file(folder_ / "metrics.json", std::uintmax_t{17} << 20);
  const auto run = read_run(folder_);
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_TRUE(run->metrics.empty());
  ASSERT_EQ(run->notes.size(), 1U);
  EXPECT_THAT(run->notes[0], HasSubstr("metrics.json is left out"));
}

}  // namespace
}  // namespace vmm::report
