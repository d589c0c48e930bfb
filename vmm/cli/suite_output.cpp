#include "suite_output.hpp"

#include "vmm/cli/format.hpp"
#include "vmm/observe/console_parser.hpp"

namespace vmm::cli {
namespace {

using suite::Verdict;

struct Word {
  const char* colour;
  const char* text;
};

Word word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::Passed:
      return {colour::kGreen, "ok     "};
    case Verdict::Failed:
      return {colour::kRed, "FAILED "};
    case Verdict::Error:
      return {colour::kRed, "ERROR  "};
    case Verdict::Skipped:
      break;
  }
  return {colour::kDim, "skipped"};
}

/// What is said beside the name: of a success only where its end is a bad one.
std::string remark_on(const suite::ItemResult& result) {
  if (result.message.empty()) return {};
  const bool bad_end = result.verdict == Verdict::Passed;
  const bool failed = result.verdict == Verdict::Failed || result.verdict == Verdict::Error;
  std::string text = bad_end ? "  as expected: " : "  ";
  // Further lines of a message stand below the first, in the same column.
  for (const char c : result.message) text += c == '\n' ? "\n          " : std::string(1, c);
  if (failed) text += " (exit " + std::to_string(result.exit_code) + ")";
  return text;
}

std::string plural(std::size_t count, const char* noun) {
  return std::to_string(count) + ' ' + noun + (count == 1 ? "" : "s");
}

}  // namespace

void SuiteOutput::on_ended(const suite::Item& item, const suite::ItemResult& result) {
  if (quiet_) return;
  const Word word = word_of(result.verdict);
  std::string line =
      coloured(output_, word.colour, word.text) + ' ' + padded(observe::printable(item.name), name_width_) + ' ';
  line += padded(result.duration.count() == 0 ? "" : format_duration(result.duration), 8) + remark_on(result);
  while (line.ends_with(' ')) line.pop_back();
  output_.write(line + "\n");
}

void SuiteOutput::show_running(const suite::Suite& suite) {
  if (quiet_) return;
  std::string line = std::to_string(suite.ended()) + " of " + std::to_string(suite.items().size()) + " done";
  const char* separator = "; ";
  for (const auto& running : suite.running()) {
    line += separator + observe::printable(*running.name) + ' ' + format_seconds(running.since);
    separator = ", ";
  }
  output_.set_status(coloured(output_, colour::kDim, line));
}

void SuiteOutput::on_finished(const suite::Suite& suite, const std::filesystem::path& run_dir) {
  if (quiet_) return;
  output_.set_status("");
  const auto sums = suite::count(suite.results());
  std::string line = plural(suite.items().size(), "scenario") + ": " + std::to_string(sums.passed) + " passed";
  if (sums.failed > 0) line += ", " + std::to_string(sums.failed) + " failed";
  if (sums.errors > 0) line += ", " + plural(sums.errors, "error");
  if (sums.skipped > 0) line += ", " + std::to_string(sums.skipped) + " skipped";
  line += " in " + format_duration(suite.duration()) + " (exit " + std::to_string(suite.exit_code()) + ", files in " +
          run_dir.string() + ")";
  output_.write(coloured(output_, suite.exit_code() == 0 ? colour::kGreen : colour::kRed, line) + "\n");
}

}  // namespace vmm::cli
