// Reads the guest's console as it comes, byte by byte: lines, METRIC lines, and the guest's exit records
// (abi/console.hpp). The bytes are hostile: lines are bounded, and what is not exactly a record is only text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vmm::observe {

/// What the guest said about its end.
struct ExitRecord {
  enum class Kind : std::uint8_t { Shutdown, Reboot, Panic, BootConfig };
  Kind kind;
  int code;  ///< 0 to 255

  friend bool operator==(const ExitRecord&, const ExitRecord&) = default;
};

/// The word for a kind, as in the record.
const char* to_string(ExitRecord::Kind kind);

/// Receives what a ConsoleParser finds. A record is not reported as a line.
class ConsoleSink {
 public:
  virtual ~ConsoleSink() = default;
  /// A line without its end. A longer one than kMaxLineBytes comes in pieces, all but the last with `more` set.
  virtual void on_line(std::string_view line, bool more) = 0;
  /// A METRIC line; also reported as a line.
  virtual void on_metric(std::string_view name, std::int64_t value) = 0;
  virtual void on_exit_record(ExitRecord record) = 0;
  /// A line that starts like a metric or a record and is none; reported as a line as well.
  virtual void on_malformed(std::string_view line) = 0;
};

class ConsoleParser {
 public:
  static constexpr std::size_t kMaxLineBytes = 4096;

  explicit ConsoleParser(ConsoleSink& sink) : sink_(sink) { line_.reserve(kMaxLineBytes); }

  /// Takes the next bytes, cut anywhere.
  void feed(std::string_view bytes);
  /// Reports a last line that has no end; for when the console has closed.
  void finish();

 private:
  void take(char c);
  void end_line();
  void classify();

  ConsoleSink& sink_;
  std::string line_;
  bool continued_ = false;  ///< line_ is a later piece of a long line
};

/// Removes what a console can carry besides text (control bytes and escape sequences), for messages that quote a line.
std::string printable(std::string_view line);

}  // namespace vmm::observe
