#include "guest/kernel/log.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "abi/console.hpp"
#include "guest/kernel/log_history.hpp"

namespace guest::kernel {
namespace {
constexpr std::string_view kNames[] = {"quiet", "info", "debug"};
}  // namespace

bool parse_verbosity(std::string_view text, Verbosity& out) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (text == kNames[i]) {
      out = static_cast<Verbosity>(i);
      return true;
    }
  }
  return false;
}

std::string_view to_string(Verbosity verbosity) { return kNames[static_cast<std::size_t>(verbosity)]; }

Log::Line::Locked Log::lock() {
  // Relaxed: a CPU that sees it late waits for the lock or writes one line more, as it would have a moment before.
  if (only_cpu_.load(std::memory_order_relaxed) != kAnyCpu) {
    return {.held = false, .before = {}};
  }
  return {.held = true, .before = lock_.acquire()};
}

void Log::unlock(Line::Locked locked) {
  if (locked.held) {
    lock_.release(locked.before);
  }
}

void Log::begin_line() {
  if (in_line_ && line_cpu_ != cpu_index()) {
    (void)put("\n");
  }
}

void Log::set_output(TextOutput& output) {
  const Line::Locked locked = lock();
  output_ = &output;
  output.write(early_text());
  if (early_overflow_) {
    output.write("[early log full: later lines before this point are lost]\n");
  }
  early_size_ = 0;
  unlock(locked);
}

void Log::write(std::string_view text) {
  const Line::Locked locked = lock();
  (void)put(text);
  unlock(locked);
}

bool Log::put(std::string_view text) {
  const std::uint32_t only = only_cpu_.load(std::memory_order_relaxed);
  // Whoever holds the lock is in the middle of a line, which is written to its end.
  if (only != kAnyCpu && only != cpu_index() && !lock_.held_here()) {
    return false;
  }
  if (!text.empty()) {
    in_line_ = text.back() != '\n';
    line_cpu_ = cpu_index();
  }
  if (output_ != nullptr) {
    output_->write(text);
    return true;
  }
  const std::size_t room = sizeof(early_) - early_size_;
  if (text.size() > room) {
    early_overflow_ = true;
    return true;
  }
  std::copy(text.begin(), text.end(), early_ + early_size_);
  early_size_ += text.size();
  return true;
}

void Log::put_of_line(std::string_view text) {
  if (put(text) && history_ != nullptr) {
    history_->append(text);
  }
}

void Log::end_line(Verbosity level) {
  if (put("\n") && history_ != nullptr) {
    history_->end_line(level);
  }
}

void Log::keep_lines(LogHistory& history) {
  const Line::Locked locked = lock();
  history_ = &history;
  unlock(locked);
}

void Log::line(Verbosity level, std::string_view text) {
  if (!shows(level)) {
    return;
  }
  Line(*this, level).write(text);
}

void Log::metric(std::string_view name, std::uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
  Line line(*this);
  line.write(abi::console::kMetricPrefix);
  line.write(name);
  line.write("=");
  line.write({digits, static_cast<std::size_t>(end - digits)});
}

Log& log() {
  static constinit Log instance;
  return instance;
}

}  // namespace guest::kernel
