// Lines for people on the console, by level. Before a console is known they are kept in a small buffer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/spin_lock.hpp"

namespace guest::kernel {

class LogHistory;

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

/// From any CPU: a lock keeps a line whole, and a line that finds another CPU's open (the shell's prompt, or what it
/// prints in parts) begins a new one. Interrupts are masked while a line goes out, which takes as long as the console
/// needs for it.
class Log {
 public:
  constexpr Log() = default;

  /// From now on text goes to `output`; what was kept before is written first.
  void set_output(TextOutput& output);
  [[nodiscard]] bool has_output() const { return output_ != nullptr; }
  /// From now on the lines (not what write() writes) go to `history`, too, which outlives the log.
  void keep_lines(LogHistory& history);
  // Relaxed: the level orders nothing.
  void set_verbosity(Verbosity verbosity) { verbosity_.store(verbosity, std::memory_order_relaxed); }
  [[nodiscard]] Verbosity verbosity() const { return verbosity_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool shows(Verbosity level) const { return level <= verbosity(); }

  /// A line that is written in parts: nothing of other CPUs comes between them while it lives.
  class Line final : public TextOutput {
   public:
    explicit Line(Log& log, Verbosity level = Verbosity::Quiet) : log_(log), level_(level), locked_(log.lock()) {
      log_.begin_line();
    }
    /// Ends the line.
    ~Line() {
      log_.end_line(level_);
      log_.unlock(locked_);
    }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;
    void write(std::string_view text) override { log_.put_of_line(text); }

   private:
    Log& log_;
    Verbosity level_;  ///< for the history
    struct Locked {
      bool held;
      InterruptState before;
    };
    friend class Log;
    Locked locked_;
  };

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

  /// From now on only this CPU writes, without the lock: another CPU may hold it and be stopped. For a panic.
  void leave_to_this_cpu() { only_cpu_.store(cpu_index(), std::memory_order_relaxed); }

 private:
  static constexpr std::uint32_t kAnyCpu = ~std::uint32_t{0};

  Line::Locked lock();
  void unlock(Line::Locked locked);
  /// Under the lock, as the rest below.
  void begin_line();
  /// False: another CPU has the log for itself, and nothing was written.
  bool put(std::string_view text);
  void put_of_line(std::string_view text);
  void end_line(Verbosity level);

  SpinLock lock_{"log", LockRank::Log};
  std::atomic<std::uint32_t> only_cpu_{kAnyCpu};
  std::atomic<Verbosity> verbosity_{Verbosity::Quiet};
  TextOutput* output_ = nullptr;
  LogHistory* history_ = nullptr;
  std::uint32_t line_cpu_ = 0;  ///< who wrote last
  char early_[2048] = {};
  std::size_t early_size_ = 0;
  bool early_overflow_ = false;
  bool in_line_ = false;
};

/// The console's log. Not from interrupt handlers.
Log& log();

}  // namespace guest::kernel
