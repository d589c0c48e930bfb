// JUnit's XML, as CI systems read it: a test suite with test cases, a failure or skipped element in those.
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "vmm/observe/summary.hpp"

namespace vmm::observe {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD in UTF-8

struct Decoded {
  std::uint32_t code_point;
  std::size_t bytes;  ///< 0: not UTF-8
};

/// The UTF-8 sequence at the front of `text` (RFC 3629: shortest form, no surrogates).
Decoded decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {0, 0};
  std::uint32_t value = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {0, 0};
    value = value << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {0, 0};
  return {value, length};
}

/// XML 1.0, 2.2 Characters: what a document may hold at all, escaped or not.
bool is_xml_character(std::uint32_t c) {
  return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0xfffe && c != 0xffff);
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto [code_point, bytes] = decode(text);
    if (bytes == 0 || !is_xml_character(code_point)) {
      out += kReplacement;
    } else if (code_point == '<') {
      out += "&lt;";
    } else if (code_point == '>') {
      out += "&gt;";
    } else if (code_point == '&') {
      out += "&amp;";
    } else if (code_point == '"') {
      out += "&quot;";
    } else if (code_point < 0x20) {
      // In an attribute a reader would turn these into blanks.
      out += "&#" + std::to_string(code_point) + ";";
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return out;
}

std::string seconds(std::chrono::nanoseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", std::chrono::duration<double>(time).count());
  return text;
}

std::string attribute(const char* name, std::string_view value) {
  return std::string(" ") + name + "=\"" + escaped(value) + "\"";
}

struct Case {
  std::string class_name;
  std::string name;
  std::chrono::nanoseconds time{0};
  std::string element;  ///< "failure", "skipped", "error", or empty
  std::string message;
};

std::string case_text(const Case& test) {
  std::string text = "  <testcase" + attribute("classname", test.class_name) + attribute("name", test.name) +
                     attribute("time", seconds(test.time));
  if (test.element.empty()) return text + "/>\n";
  return text + ">\n    <" + test.element + attribute("message", test.message) + "/>\n  </testcase>\n";
}

/// @param name of the run, in the names of its classes
std::vector<Case> cases_of(const std::string& name, const Summary& summary) {
  std::vector<Case> cases;
  const bool as_expected = ended_as_expected(summary);
  for (const auto& step : summary.steps) {
    // A bad end that was wanted takes steps with it, which nobody holds against the run.
    const char* const element = step.status == StepStatus::Passed                   ? ""
                                : step.status == StepStatus::Failed && !as_expected ? "failure"
                                                                                    : "skipped";
    cases.push_back({name + ".steps", step.name, step.duration, element, step.message});
  }
  for (const auto& expectation : summary.expectations) {
    const std::string actual = expectation.actual.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    cases.push_back({name + ".expect",
                     expectation.kind + " " + expectation.subject,
                     {},
                     expectation.passed ? "" : "failure",
                     "wanted " + expectation.wanted + ", actual " + actual});
  }
  // A run that came to no verdict must not look like one in which nothing failed.
  if ((summary.outcome == Outcome::Error && !as_expected) || cases.empty()) {
    cases.push_back({name, "run", summary.duration, as_expected ? "" : "error", summary.message});
  }
  return cases;
}

std::vector<Case> cases_of(const SuiteCase& test) {
  if (test.summary && !test.skipped) return cases_of(test.name, *test.summary);
  return {{test.name, "run", test.duration, test.skipped ? "skipped" : "error", test.message}};
}

/// How many cases there are, and how many of each element; the time of all.
struct Totals {
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t errors = 0;
  std::size_t skipped = 0;
  std::chrono::nanoseconds time{0};

  void add(const std::vector<Case>& cases) {
    for (const Case& each : cases) {
      ++tests;
      failures += each.element == "failure" ? 1 : 0;
      errors += each.element == "error" ? 1 : 0;
      skipped += each.element == "skipped" ? 1 : 0;
    }
  }

  [[nodiscard]] std::string attributes(const std::string& name) const {
    return attribute("name", name) + attribute("tests", std::to_string(tests)) +
           attribute("failures", std::to_string(failures)) + attribute("errors", std::to_string(errors)) +
           attribute("skipped", std::to_string(skipped)) + attribute("time", seconds(time));
  }
};

constexpr std::string_view kHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

std::string suite_text(const std::string& name, std::chrono::nanoseconds time, const std::vector<Case>& cases) {
  Totals totals{.time = time};
  totals.add(cases);
  std::string text = "<testsuite" + totals.attributes(name) + ">\n";
  for (const auto& test : cases) text += case_text(test);
  return text + "</testsuite>\n";
}

}  // namespace

std::string to_junit(const Summary& summary) {
  return std::string(kHead) + suite_text(summary.scenario, summary.duration, cases_of(summary.scenario, summary));
}

std::string to_junit(const std::string& suite, const std::vector<SuiteCase>& cases) {
  Totals totals;
  std::string suites;
  for (const SuiteCase& test : cases) {
    const auto tests = cases_of(test);
    totals.add(tests);
    totals.time += test.duration;
    suites += suite_text(test.name, test.duration, tests);
  }
  return std::string(kHead) + "<testsuites" + totals.attributes(suite) + ">\n" + suites + "</testsuites>\n";
}

}  // namespace vmm::observe
