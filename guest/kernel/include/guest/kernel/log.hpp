// Lines for people on the console, by level. Before a console is known they are kept in a small buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guest::kernel {

/// Somewhere text can go. write() takes all of it.
class TextOutput {
 public:
  virtual void write(std::string_view text) = 0;

 protected:
  ~TextOutput() = default;
};

enum class Verbosity : std::uint8_t {
  Quiet,  ///< boot markers, metrics, errors
  Info,
  Debug,
};

/// "quiet", "info", "debug"; false and `out` unchanged for anything else.
bool parse_verbosity(std::string_view text, Verbosity& out);
std::string_view to_string(Verbosity verbosity);

class Log {
 public:
  constexpr Log() = default;

  /// From now on text goes to `output`; what was kept before is written first.
  void set_output(TextOutput& output);
  [[nodiscard]] bool has_output() const { return output_ != nullptr; }
  void set_verbosity(Verbosity verbosity) { verbosity_ = verbosity; }
  [[nodiscard]] Verbosity verbosity() const { return verbosity_; }
  [[nodiscard]] bool shows(Verbosity level) const { return level <= verbosity_; }

  /// One line; the line end is added. Written if `level` is shown, that is decided when the line is made.
  void line(Verbosity level, std::string_view text);
  void error(std::string_view text) { line(Verbosity::Quiet, text); }
  void info(std::string_view text) { line(Verbosity::Info, text); }
  void debug(std::string_view text) { line(Verbosity::Debug, text); }
  /// "METRIC name=value"
  void metric(std::string_view name, std::uint64_t value);

  /// Text as it is, without a line end (the shell's prompt and echo).
  void write(std::string_view text);
  /// The last text that was written did not end its line.
  [[nodiscard]] bool in_line() const { return in_line_; }
  /// What is kept while there is no output; for the panic report.
  [[nodiscard]] std::string_view early_text() const { return {early_, early_size_}; }

 private:
  TextOutput* output_ = nullptr;
  Verbosity verbosity_ = Verbosity::Quiet;
  char early_[2048] = {};
  std::size_t early_size_ = 0;
  bool early_overflow_ = false;
  bool in_line_ = false;
};

/// The console's log. Not from interrupt handlers.
Log& log();

}  // namespace guest::kernel
