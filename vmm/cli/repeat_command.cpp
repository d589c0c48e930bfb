// run --repeat: one scenario many times.
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>

#include "children.hpp"
#include "vmm/base/file.hpp"
#include "vmm/observe/console_parser.hpp"
#include "vmm/scenario/load.hpp"
#include "vmm/suite/repeat.hpp"
#include "vmm/terminal/signals.hpp"

namespace vmm::cli {
namespace {

namespace fs = std::filesystem;
using suite::Verdict;

constexpr char kReport[] = "repeat.json";
constexpr std::size_t kNameWidth = 32;
constexpr std::size_t kCellWidth = 12;

/// Shows a repetition: runs that did not pass as they end, on a terminal how far it is, at the end the figures.
class RepeatOutput final : public suite::RepeatListener {
 public:
  RepeatOutput(TextOutput& output, bool quiet) : output_(output), quiet_(quiet) {}

  void on_run_ended(const suite::RepeatedRun& run) override {
    if (quiet_ || run.verdict == Verdict::Passed) return;
    std::string line = coloured(output_, colour::kRed, "run " + std::to_string(run.number)) + ": " +
                       observe::printable(run.message) + " (exit " + std::to_string(run.exit_code) + ", " +
                       format_duration(run.duration);
    if (!run.kept.empty()) line += ", files in " + run.kept.string();
    output_.write(line + ")\n");
  }

  void show_progress(const suite::Repeat& repeat) {
    if (quiet_) return;
    const auto now = std::chrono::steady_clock::now();
    output_.set_status(coloured(output_, colour::kDim,
                                "run " + std::to_string(repeat.runs().size() + 1) + " of " +
                                    std::to_string(repeat.options().runs) + "; " + outcomes(repeat) + "; " +
                                    format_seconds(now - start_)));
  }

  void on_finished(const suite::Repeat& repeat) {
    if (quiet_) return;
    output_.set_status("");
    if (!repeat.steps().empty()) print_table("step", repeat.steps(), format_ns);
    if (!repeat.metrics().empty()) print_table("metric", repeat.metrics(), format_plain);
    const std::string line = std::to_string(repeat.runs().size()) + (repeat.runs().size() == 1 ? " run: " : " runs: ") +
                             outcomes(repeat) + " in " + format_duration(repeat.duration()) + " (exit " +
                             std::to_string(repeat.exit_code()) + ", files in " + repeat.options().folder.string() +
                             ")";
    output_.write(coloured(output_, repeat.exit_code() == 0 ? colour::kGreen : colour::kRed, line) + "\n");
  }

 private:
  using Format = std::string (*)(std::int64_t);
  static std::string format_ns(std::int64_t value) { return format_duration(std::chrono::nanoseconds(value)); }
  static std::string format_plain(std::int64_t value) { return std::to_string(value); }

  static std::string outcomes(const suite::Repeat& repeat) {
    std::string text = std::to_string(repeat.count(Verdict::Passed)) + " passed";
    if (const auto failed = repeat.count(Verdict::Failed)) text += ", " + std::to_string(failed) + " failed";
    if (const auto errors = repeat.count(Verdict::Error)) {
      text += ", " + std::to_string(errors) + (errors == 1 ? " error" : " errors");
    }
    return text;
  }

  void print_row(const std::string& name, const std::array<std::string, 5>& cells) {
    std::string line = padded(name, kNameWidth);
    for (const std::string& cell : cells) {
      line.append(cell.size() < kCellWidth ? kCellWidth - cell.size() : 0, ' ').append(1, ' ').append(cell);
    }
    output_.write(line + "\n");
  }

  /// Of counters of devices most are 0 most of the time, and stay out of the way.
  void print_table(const std::string& what, const std::vector<suite::Series>& all, Format format) {
    print_row(what, {"count", "min", "median", "p95", "max"});
    for (const suite::Series& series : all) {
      const auto figures = observe::distribution_of(series.values);
      if (figures.min == 0 && figures.max == 0) continue;
      print_row(observe::printable(series.name),
                {std::to_string(series.values.size()), format(figures.min), format(figures.median),
                 figures.p95 ? format(*figures.p95) : "-", format(figures.max)});
    }
  }

  TextOutput& output_;
  bool quiet_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// As many digits as lead to the same number again.
std::string exact_text(double value) {
  std::array<char, 32> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), written.ptr};
}

/// The options of the whole that are those of each run, too.
std::vector<std::string> arguments_for(const RunOptions& options, const std::string& name, const fs::path& folder) {
  std::vector<std::string> words = child_program();
  words.insert(words.end(), {"run", "--json", "--name", name, "--run-dir", suite::Repeat::run_dir(folder).string()});
  if (options.kernel) words.insert(words.end(), {"--kernel", *options.kernel});
  if (options.timeout_s) words.insert(words.end(), {"--timeout", exact_text(*options.timeout_s)});
  if (options.until_ready) words.emplace_back("--until-ready");
  if (options.observe) words.emplace_back("--observe");
  if (!options.sandbox) words.emplace_back("--no-sandbox");
  for (const Override& change : options.overrides) words.insert(words.end(), {change.option, change.value});
  words.insert(words.end(), {"--", options.file});
  return words;
}

Result<int> run_repeatedly(const RunOptions& options) {
  const auto scenario = scenario::load_file(options.file);
  if (!scenario) return std::unexpected(scenario.error());
  const std::string name = options.name.value_or(machine_name_from(scenario->name));
  const fs::path folder = options.run_dir.value_or("runs/" + name + "-repeat");
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail("cannot create " + folder.string() + ": " + error.message(), abi::ExitCode::Usage);
  auto loop = EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  TextOutput output(STDOUT_FILENO, {});
  RepeatOutput listener(output, options.json);
  suite::Repeat repeat(**loop,
                       {.runs = options.repeat.value_or(1),
                        .until_failure = options.until_failure,
                        .folder = folder,
                        .arguments = arguments_for(options, name, folder)},
                       listener);
  auto signals = SignalWatch::create(**loop, {SIGINT, SIGTERM, SIGHUP, SIGQUIT}, [&](int) { repeat.interrupt(); });
  if (!signals) return std::unexpected(signals.error());
  const Ticker ticker(**loop, output, [&] { listener.show_progress(repeat); });
  const auto ran = repeat.run();
  output.set_status("");
  // Where the first run could not even be started there are no figures.
  if (!ran && repeat.runs().empty()) return std::unexpected(ran.error());
  listener.on_finished(repeat);
  output.drain();
  const std::string text = observe::to_text(suite::to_json(repeat));
  if (auto written = write_file(folder / kReport, text); !written) return std::unexpected(written.error());
  if (options.json) std::fputs(text.c_str(), stdout);
  if (!ran) return std::unexpected(ran.error());
  return repeat.exit_code();
}

}  // namespace

int run_many(const RunOptions& options) {
  const auto code = run_repeatedly(options);
  return code ? *code : report(code.error());
}

}  // namespace vmm::cli
