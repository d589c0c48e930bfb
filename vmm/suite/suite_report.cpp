// What a suite came to, for programs.
#include "vmm/suite/suite.hpp"

namespace vmm::suite {

using nlohmann::ordered_json;

Count count(const std::vector<ItemResult>& results) {
  Count count;
  for (const ItemResult& result : results) {
    count.passed += result.verdict == Verdict::Passed ? 1 : 0;
    count.failed += result.verdict == Verdict::Failed ? 1 : 0;
    count.errors += result.verdict == Verdict::Error ? 1 : 0;
    count.skipped += result.verdict == Verdict::Skipped ? 1 : 0;
  }
  return count;
}

ordered_json to_json(const Suite& suite) {
  const Count sums = count(suite.results());
  ordered_json json{{"exit_code", suite.exit_code()},
                    {"duration_ns", suite.duration().count()},
                    {"passed", sums.passed},
                    {"failed", sums.failed},
                    {"errors", sums.errors},
                    {"skipped", sums.skipped},
                    {"scenarios", ordered_json::array()}};
  for (std::size_t i = 0; i < suite.items().size(); ++i) {
    const Item& item = suite.items()[i];
    const ItemResult& result = suite.results()[i];
    json["scenarios"].push_back({{"name", item.name},
                                 {"file", item.file.string()},
                                 {"outcome", to_string(result.verdict)},
                                 {"exit_code", result.exit_code},
                                 {"message", result.message},
                                 {"duration_ns", result.duration.count()},
                                 {"run_dir", item.run_dir.string()}});
  }
  return json;
}

std::vector<observe::SuiteCase> to_cases(const Suite& suite) {
  std::vector<observe::SuiteCase> cases;
  for (std::size_t i = 0; i < suite.items().size(); ++i) {
    const ItemResult& result = suite.results()[i];
    cases.push_back({.name = suite.items()[i].name,
                     .duration = result.duration,
                     .summary = result.summary,
                     .skipped = result.verdict == Verdict::Skipped,
                     .message = result.message});
  }
  return cases;
}

}  // namespace vmm::suite
